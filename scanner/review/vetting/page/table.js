"use strict";
/* Votes as CSV, one column per field of a vote, as `lensscan votes merge` reads them. */
const VoteTable = (() => {
  const COLUMNS = ["act_id", "act", "grader", "subject", "object_id", "role", "undoes", "grade", "reason", "is_compound",
    "is_interesting", "comment", "repeat", "is_blind", "decision_s", "page_version", "graded_at"];
  const FREE = new Set(["comment", "page_version"]);
  /* A spreadsheet may execute a text that begins so: it gets an apostrophe in front, as in infra/spreadsheet_texts.py. */
  const FORMULA = /^[ \u00a0\ufeff']*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

  function cell(column, value) {
    let text = value === null || value === undefined ? "" : String(value);
    if (FREE.has(column) && FORMULA.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function written(votes) {
    const rows = votes.map((vote) => COLUMNS.map((column) => cell(column, vote[column])));
    return [COLUMNS, ...rows].map((row) => `${row.join(",")}\r\n`).join("");
  }

  /* Return the rows of a CSV text as lists of cells. */
  function rowsOf(text) {
    const rows = [[]];
    const pattern = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n|\n|\r|$)/y;
    while (pattern.lastIndex < text.length) {
      const found = pattern.exec(text);
      if (!found) throw new Error("the file is no CSV");
      const [, raw, end] = found;
      rows.at(-1).push(raw.startsWith('"') ? raw.slice(1, -1).replaceAll('""', '"') : raw);
      if (end !== "," && pattern.lastIndex < text.length) rows.push([]);
    }
    return rows;
  }

  /* Return the votes of a CSV text, with the types of an act. */
  function read(text) {
    const [header, ...rows] = rowsOf(text.replace(/^\ufeff/, ""));
    const missing = ["act_id", "act", "grader", "subject", "graded_at"].filter((name) => !header.includes(name));
    if (missing.length) throw new Error(`the file lacks the columns ${missing.join(", ")}`);
    return rows.filter((row) => row.length === header.length).map((row) => {
      const vote = Object.fromEntries(header.map((column, i) => [column, typed(column, row[i])]));
      return vote;
    });
  }

  function typed(column, text) {
    if (column === "is_blind" && text === "") return true;
    if (column.startsWith("is_")) return text.toLowerCase() === "true" || text === "1";
    if (column === "repeat" || column === "decision_s") return Number(text || 0);
    if (FREE.has(column)) return text.startsWith("'") && FORMULA.test(text) ? text.slice(1) : text;
    return text === "" ? null : text;
  }

  return { written, read };
})();
