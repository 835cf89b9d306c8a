"""Requests that never reach the application: the server ends a request whose line is too long, without a body."""

from urllib.parse import urlencode

import schemathesis

LONGEST_LINE = 60_000


@schemathesis.hook
def filter_case(context, case):
    return len(urlencode(case.query or {}, doseq=True)) < LONGEST_LINE
