"""Append votes to a log until it is killed: `python -m tests.scanner.review.votes.append_driver ROOT FIRST`.

Each vote is sent twice at the same time, as by a page whose button is pressed twice. The number of a vote is printed once
`append` has returned: from then on the vote must not get lost.
"""

import itertools
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from scanner.review.votes.log import VoteLog
from tests.scanner.review.votes.made_votes import vote_of


def main():
    root, first = sys.argv[1], int(sys.argv[2])
    log = VoteLog(root)

    def submit(number):
        log.append(vote_of(number))
        os.write(1, f"{number}\n".encode())

    with ThreadPoolExecutor(2) as pool:
        for number in itertools.count(first):
            list(pool.map(submit, [number, number]))


if __name__ == "__main__":
    main()
