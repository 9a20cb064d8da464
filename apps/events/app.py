"""The settings of this app: its wire names are camelCase, as its schema was given."""

from reactor import App

app = App(wire_names="camelCase")
