import threading
import warnings

from infra.quiet import without_warnings


def test_many_threads_leave_the_filters_as_they_were():
    before = list(warnings.filters)

    def work():
        for _ in range(300):
            with without_warnings():
                warnings.warn("this must not be shown", UserWarning, stacklevel=1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
