import contextlib
import sqlite3

from tests.prefect_servers import shared_tables


def run(database, sql):
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(sql).fetchall()


def test_the_first_servers_tables_are_there_when_others_start(tmp_path):
    tables, first, second = (tmp_path / name for name in ("tables.db", "first.db", "second.db"))
    with shared_tables(tables, first):
        assert not first.exists()
        run(first, "create table made (number)")
    run(first, "insert into made values (1)")
    with shared_tables(tables, second):
        assert run(second, "select * from made") == []
        run(second, "insert into made values (2)")
    with shared_tables(tables, second):
        assert run(second, "select * from made") == [(2,)]
    assert run(tables, "select * from made") == []
