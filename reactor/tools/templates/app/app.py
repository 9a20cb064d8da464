"""The settings of this app. Clients see camelCase names: `done_at` travels as `doneAt`."""

from reactor import App

app = App(wire_names="camelCase")
