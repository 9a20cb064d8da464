"""The settings of this app: its wire names are camelCase, as its schema was given."""

from reactor import App, Limits

# The app only reads its own events, at most 1000 of them per answer, so the bounds follow from
# the largest honest call rather than from distrust:
# - An answer of 1000 events of the hook is at most some 55 MB (`EVENT_BYTES_MAX` in hook.py);
#   128 MiB also hold the default 100 events if each is as large as a document can be, 1 MiB.
# - With both filters, `listEvents` walks the session and drops the other projects' events. A
#   session belongs to one project in practice; still, 500,000 events of another one may be passed
#   over, at about 15 microseconds and at most 8 KiB each, with room to spare for a busy machine.
LIMITS = Limits(
    result_bytes=128 << 20,
    documents_read=1_000_000,
    bytes_read=4 << 30,
    run_seconds=60,
)

app = App(wire_names="camelCase", limits=LIMITS)
