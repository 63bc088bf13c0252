"""A plugin that wraps destinations, as somebody wrote it against the first version of the contract.

This file is never edited; see exportkit_first.py beside it.
"""

from exportkit import hookimpl

seen = []


@hookimpl(wrapper=True)
def push(batch):
    answer = yield
    seen.append((batch.operation, len(batch), batch.columns, len(answer.rejections)))
    print("bystander saw", batch.operation)
    return answer


@hookimpl(wrapper=True, tryfirst=True)
def connect():
    return (yield)


@hookimpl
def run_finished():
    print("bystander heard of a run")
