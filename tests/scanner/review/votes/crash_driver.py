"""Append votes in processes that are killed at each step of a creation: `python -m … ROOT`.

For each step a line says whether the process was killed, how many votes the log holds then, and the outcome of a second try.
"""

import os
import signal
import sys

from infra.steps import Step, listen
from scanner.review.votes.log import VoteLog
from tests.scanner.review.votes.made_votes import vote_of

STEPS = (Step.CREATE, Step.SYNC, Step.LINK, Step.LINKED, Step.CREATED)


def main():
    log = VoteLog(sys.argv[1])
    for number, step in enumerate(STEPS):
        pid = os.fork()
        if not pid:
            listen(lambda reached, _, step=step: reached is step and os.kill(os.getpid(), signal.SIGKILL))
            log.append(vote_of(number))
            os._exit(1)
        _, status = os.waitpid(pid, 0)
        end = "killed" if os.WIFSIGNALED(status) else "survived"
        sys.stdout.write(f"{step} {end}, {len(log.votes())} votes, {log.append(vote_of(number))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
