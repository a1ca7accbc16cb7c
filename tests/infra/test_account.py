import os

from infra.account import account_name


def test_an_account_without_a_name_has_its_number(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ann")
    assert account_name() == "ann"
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert account_name() == str(os.getuid())
