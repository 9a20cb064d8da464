"""reactor: tables, queries and mutations as plain Python, live in every official Convex client.

These are the names that an app needs. Everything else is reached through its own module.
"""

from pydantic import MISSING

from reactor.blocking import BlockingReactor
from reactor.data.tables import Id, Index, Table
from reactor.data.values import Int64, Value
from reactor.errors import LoadError, Problem, ReactorError
from reactor.functions.app import App
from reactor.functions.context import ActionCtx, MutationCtx, QueryCtx
from reactor.functions.failures import CallFailed
from reactor.functions.limits import Limits
from reactor.functions.loader import load_app
from reactor.functions.pagination import Page, PaginationOptions
from reactor.functions.registry import (
    action,
    http_action,
    internal_action,
    internal_mutation,
    internal_query,
    mutation,
    query,
)
from reactor.reactor import Reactor

__all__ = [
    "MISSING",
    "ActionCtx",
    "App",
    "BlockingReactor",
    "CallFailed",
    "Id",
    "Index",
    "Int64",
    "Limits",
    "LoadError",
    "MutationCtx",
    "Page",
    "PaginationOptions",
    "Problem",
    "QueryCtx",
    "Reactor",
    "ReactorError",
    "Table",
    "Value",
    "action",
    "http_action",
    "internal_action",
    "internal_mutation",
    "internal_query",
    "load_app",
    "mutation",
    "query",
]
