"""Answers, taken over one by one, and what an earlier run did.

- `lines`: the ledger's file (tested by `test_ledger`).
- `ledger`: a line for each reference, objects in their place, each identity once.
- `counts`: in = done + failed + skipped.
- `drive`: references to an engine, answers to the ledger (tested by `test_local`).
"""
