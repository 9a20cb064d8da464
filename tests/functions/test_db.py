"""`ctx.db`: what is stored and read back, what a wrong id or document gets, and rollback."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from reactor.application import Application
from reactor.data import wire
from reactor.data.ids import InternalId, encode_id
from reactor.data.values import Value
from reactor.identity import Identity
from tests.functions.running_apps import run, running, text_of, value_of

APP = """
class Note(Table, name="notes"):
    text: str
    author_name: str | None = None
    stars: int = 3
    draft: bool | MISSING = MISSING
    labels: list[str] = []
    extra: Any = None
    by_author = Index("author_name")
    by_draft = Index("draft")

class Other(Table, name="others"):
    a: str

@mutation
def do(ctx: MutationCtx, code: str, given: Any = None) -> Any:
    scope = {"ctx": ctx, "db": ctx.db, "Note": Note, "Other": Other, "MISSING": MISSING}
    scope["given"] = given
    result = None
    for line in code.split(";"):
        exec(line.strip(), scope)
    return scope.get("result")

@query
def look(ctx: QueryCtx, code: str, given: Any = None) -> Any:
    return eval(code, {"ctx": ctx, "db": ctx.db, "Note": Note, "Other": Other, "given": given})

@query
def notes(ctx: QueryCtx) -> list[Note]:
    return ctx.db.query(Note).collect()

@mutation
def write_then_fail(ctx: MutationCtx, id: Id[Note]) -> None:
    ctx.db.patch(id, text="inner")
    ctx.db.insert(Note, text="inner")
    raise ReactorError("inner failed")

@mutation
def write(ctx: MutationCtx, text: str) -> Id[Note]:
    return ctx.db.insert(Note, text=text)

@mutation
def outer(ctx: MutationCtx) -> Any:
    kept = ctx.db.insert(Note, text="outer before")
    ctx.run_mutation(write, text="inner that succeeded")
    try:
        ctx.run_mutation(write_then_fail, id=kept)
    except ReactorError as error:
        caught = error.data
    ctx.db.insert(Note, text="outer after")
    return [caught, [note.text for note in ctx.db.query(Note)]]

@mutation
def outer_fails(ctx: MutationCtx) -> None:
    ctx.run_mutation(write, text="inner")
    raise ReactorError("outer failed")
"""

Do = Callable[..., Awaitable[Any]]


def in_app(test: Callable[[Application, Do], Awaitable[None]]) -> Callable[[], None]:
    """Hands the test an app, and `do(code)`: the result of that code in a mutation, or its
    failure's text."""

    def decorated() -> None:
        async def main() -> None:
            async with running(APP) as app:

                async def do(code: str, given: Value = None) -> Any:
                    args: dict[str, Value] = {"code": code, "given": given}
                    outcome = await app.run_mutation("app:do", args, Identity.ANONYMOUS)
                    return value_of(outcome) if outcome.error is None else text_of(outcome)

                await test(app, do)

        run(main())

    decorated.__name__ = test.__name__
    return decorated


async def stored(app: Application) -> dict[str, Any]:
    """The only note's fields as a client sees them."""
    outcome = await app.run_query("app:notes", {}, Identity.ANONYMOUS)
    (note,) = value_of(outcome)  # type: ignore[misc]
    assert isinstance(note, dict)
    return {name: value for name, value in note.items() if not name.startswith("_")}


# -- absent, null, default -----------------------------------------------------------------------


@in_app
async def test_unset_fields_with_default_none_are_absent_and_other_defaults_stored(
    app: Application, do: Do
) -> None:
    await do("db.insert(Note, text='a')")
    assert await stored(app) == {"text": "a", "stars": 3.0, "labels": []}


@in_app
async def test_an_explicit_none_is_stored_as_null(app: Application, do: Do) -> None:
    await do("db.insert(Note, text='a', author_name=None)")
    assert (await stored(app))["authorName"] is None


@in_app
async def test_absent_reads_as_none(app: Application, do: Do) -> None:
    assert await do("id = db.insert(Note, text='a'); result = db.get(id).author_name") is None


@in_app
async def test_an_absent_field_may_be_told_from_null_by_its_index(app: Application, do: Do) -> None:
    await do("db.insert(Note, text='absent'); db.insert(Note, text='null', author_name=None)")
    found = await do(
        "rows = db.query(Note).with_index('by_author');"
        "result = [[r.text for r in rows.eq(author_name=v)] for v in (MISSING, None)]"
    )
    assert found == [["absent"], ["null"]]


@in_app
async def test_a_field_that_may_be_missing_but_not_null_refuses_null(
    app: Application, do: Do
) -> None:
    text = await do("db.insert(Note, text='a', draft=None)")
    assert text.startswith('Failed to insert or update a document in table "notes" because it ')
    assert "Path: .draft" in text


@in_app
async def test_a_missing_field_reads_as_missing(app: Application, do: Do) -> None:
    assert await do("id = db.insert(Note, text='a'); result = db.get(id).draft is MISSING")


@in_app
async def test_a_document_may_be_given_as_an_instance(app: Application, do: Do) -> None:
    await do("db.insert(Note(text='a', stars=5))")
    assert await stored(app) == {"text": "a", "stars": 5.0, "labels": []}


@in_app
async def test_a_document_may_be_given_as_a_mapping(app: Application, do: Do) -> None:
    await do("db.insert(Note, {'text': 'a', 'author_name': 'x'})")
    assert (await stored(app))["authorName"] == "x"


@in_app
async def test_an_id_and_a_creation_time_are_added(app: Application, do: Do) -> None:
    found = await do(
        "id = db.insert(Note, text='a'); row = db.get(id);"
        "result = [row.id == id, abs(row.creation_time - ctx.now()) < 60000]"
    )
    assert found == [True, True]


@in_app
async def test_creation_times_rise_within_a_mutation(app: Application, do: Do) -> None:
    times = await do(
        "ids = [db.insert(Note, text='a') for _ in range(9)];"
        "result = [db.get(id).creation_time for id in ids]"
    )
    assert times == sorted(set(times))


@in_app
async def test_a_document_that_does_not_match_is_refused_with_path_and_validator(
    app: Application, do: Do
) -> None:
    text = await do("db.insert(Note, text=5)")
    assert text.startswith(
        'Failed to insert or update a document in table "notes" because it does not match the '
        "schema: Value does not match validator.\nPath: .text\nValue: 5.0\nValidator: v.string()"
    )


@in_app
async def test_a_document_of_more_than_a_mebibyte_is_refused(app: Application, do: Do) -> None:
    text = await do("db.insert(Note, text='x' * (1 << 20))")
    assert "Value is too large (1.00 MiB > maximum size 1 MiB)" in text


@in_app
async def test_a_document_nested_too_deep_is_refused(app: Application, do: Do) -> None:
    text = await do(
        "value = 1;"
        "value = __import__('functools').reduce(lambda v, _: [v], range(17), 1);"
        "db.insert(Note, text='a', extra=value)"
    )
    assert "Value is too nested" in text and "maximum nesting 16" in text


@in_app
async def test_a_mutation_reads_its_own_writes(app: Application, do: Do) -> None:
    assert await do("db.insert(Note, text='a'); result = db.query(Note).first().text") == "a"


# -- patch, replace, delete ----------------------------------------------------------------------


@in_app
async def test_patch_changes_only_the_given_fields(app: Application, do: Do) -> None:
    await do("id = db.insert(Note, text='a', author_name='x'); db.patch(id, text='b')")
    assert await stored(app) == {"text": "b", "authorName": "x", "stars": 3.0, "labels": []}


@in_app
async def test_patch_with_missing_removes_a_field(app: Application, do: Do) -> None:
    await do("id = db.insert(Note, text='a', author_name='x'); db.patch(id, author_name=MISSING)")
    assert "authorName" not in await stored(app)


@in_app
async def test_patch_with_none_stores_null(app: Application, do: Do) -> None:
    await do("id = db.insert(Note, text='a', author_name='x'); db.patch(id, author_name=None)")
    assert (await stored(app))["authorName"] is None


@in_app
async def test_patch_cannot_remove_a_required_field(app: Application, do: Do) -> None:
    text = await do("id = db.insert(Note, text='a'); db.patch(id, text=MISSING)")
    assert "Object is missing the required field `text`." in text


@in_app
async def test_patch_refuses_an_unknown_field(app: Application, do: Do) -> None:
    text = await do("id = db.insert(Note, text='a'); db.patch(id, colour='red')")
    assert "colour" in text and "Failed to insert or update a document" in text


@in_app
async def test_patch_does_not_bring_back_defaults(app: Application, do: Do) -> None:
    await do("id = db.insert(Note, text='a', stars=1); db.patch(id, text='b')")
    assert (await stored(app))["stars"] == 1.0


@in_app
async def test_a_patch_that_changes_nothing_makes_no_new_version(app: Application, do: Do) -> None:
    id = await do("result = db.insert(Note, text='a')")
    before = app.latest_ts()
    await do("db.patch(given, text='a')", id)
    assert app.latest_ts() == before


@in_app
async def test_replace_keeps_id_and_creation_time_and_drops_other_fields(
    app: Application, do: Do
) -> None:
    same = await do(
        "id = db.insert(Note, text='a', author_name='x'); old = db.get(id);"
        "db.replace(id, Note(text='b')); new = db.get(id);"
        "result = [new.id == old.id, new.creation_time == old.creation_time]"
    )
    assert same == [True, True]
    assert await stored(app) == {"text": "b", "stars": 3.0, "labels": []}


@in_app
async def test_what_was_read_can_be_replaced_by_itself(app: Application, do: Do) -> None:
    await do("id = db.insert(Note, text='a', author_name=None); db.replace(id, db.get(id))")
    assert await stored(app) == {"text": "a", "authorName": None, "stars": 3.0, "labels": []}


@in_app
async def test_a_deleted_document_is_gone(app: Application, do: Do) -> None:
    found = await do(
        "id = db.insert(Note, text='a'); db.delete(id);"
        "result = [db.get(id), db.query(Note).count()]"
    )
    assert found == [None, 0]


# -- ids -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "verb"),
    [
        ("db.patch(id, text='b')", "Update"),
        ("db.replace(id, Note(text='b'))", "Replace"),
        ("db.delete(id)", "Delete"),
    ],
)
def test_changing_a_document_that_does_not_exist_is_refused(call: str, verb: str) -> None:
    @in_app
    async def test(app: Application, do: Do) -> None:
        id = await do("result = db.insert(Note, text='a')")
        await do("db.delete(given)", id)
        text = await do(f"id = given; {call}", id)
        assert text.startswith(f"{verb} on nonexistent document ID {id}")

    test()


@in_app
async def test_get_of_a_deleted_document_is_none(app: Application, do: Do) -> None:
    assert await do("id = db.insert(Note, text='a'); db.delete(id); result = db.get(id)") is None


@in_app
async def test_get_insists_on_a_table_when_one_is_named(app: Application, do: Do) -> None:
    text = await do("db.get(Note, db.insert(Other, a='a'))")
    assert text.startswith(
        "Invalid argument `id` for `db.get`: expected to be an "
        'Id<"notes">, got Id<"others"> instead.'
    )


UNKNOWN_TABLE = encode_id(12_345, InternalId(bytes(16)))
SYSTEM_TABLE = encode_id(5, InternalId(bytes(16)))


@pytest.mark.parametrize(
    ("id", "text"),
    [
        ("nope", "Invalid argument `id` for `db.get`: Unable to decode ID: Invalid ID length 4"),
        ("", "Invalid argument `id` for `db.get`: Unable to decode ID: Invalid ID length 0"),
        (None, "Invalid argument `id` for `db.get`: expected a document id, got NoneType None."),
        (5.0, "Invalid argument `id` for `db.get`: expected a document id, got "),
        (UNKNOWN_TABLE, f"Invalid argument `id` for `db.get`: {UNKNOWN_TABLE} belongs to no table"),
        (SYSTEM_TABLE, "System tables can only be accessed with db.system."),
    ],
)
def test_what_is_no_id_of_this_database_is_refused(id: Value, text: str) -> None:
    @in_app
    async def test(app: Application, do: Do) -> None:
        assert (await do("db.get(given)", id)).startswith(text)

    test()


@in_app
async def test_get_with_a_table_refuses_an_id_of_an_unknown_one(app: Application, do: Do) -> None:
    text = await do("db.get(Note, given)", UNKNOWN_TABLE)
    assert 'expected to be an Id<"notes">, got an unknown table instead.' in text


@in_app
async def test_normalize_id_gives_the_id_of_the_table_and_none_for_anything_else(
    app: Application, do: Do
) -> None:
    found = await do(
        "note = db.insert(Note, text='a'); other = db.insert(Other, a='a');"
        "result = [db.normalize_id(Note, t) == note for t in (note,)] + "
        "[db.normalize_id(Note, t) for t in (other, 'nope', '')]"
    )
    assert found == [True, None, None, None]


@in_app
async def test_an_argument_of_another_tables_id_is_refused(app: Application, do: Do) -> None:
    other = await do("result = db.insert(Other, a='a')")
    outcome = await app.run_mutation("app:write_then_fail", {"id": other}, Identity.ANONYMOUS)
    assert (
        f'Found ID "{other}" from table `others`, which does not match the table name in '
        'validator `v.id("notes")`.'
    ) in text_of(outcome)


# -- what is read cannot harm the store ----------------------------------------------------------


@in_app
async def test_changing_a_nested_value_that_was_read_changes_nothing_stored(
    app: Application, do: Do
) -> None:
    found = await do(
        "id = db.insert(Note, text='a', labels=['x'], extra={'deep': [1]});"
        "row = db.get(id); row.labels.append('y'); row.extra['deep'].append(2);"
        "result = [db.get(id).labels, db.get(id).extra]"
    )
    assert found == [["x"], {"deep": [1.0]}]


@in_app
async def test_changing_what_was_inserted_changes_nothing_stored(app: Application, do: Do) -> None:
    found = await do(
        "labels = ['x']; id = db.insert(Note, text='a', labels=labels); labels.append('y');"
        "result = db.get(id).labels"
    )
    assert found == ["x"]


@in_app
async def test_a_query_has_no_way_to_write(app: Application, do: Do) -> None:
    code: dict[str, Value] = {"code": "db.insert(Note, text='a')"}
    outcome = await app.run_query("app:look", code, Identity.ANONYMOUS)
    assert text_of(outcome).startswith("Uncaught AttributeError: ")


# -- functions that call functions ---------------------------------------------------------------


@in_app
async def test_an_inner_mutation_that_failed_and_was_caught_rolls_back_alone(
    app: Application, do: Do
) -> None:
    caught, texts = await app.mutation("app:outer")
    assert caught == "inner failed"
    assert texts == ["outer before", "inner that succeeded", "outer after"]


@in_app
async def test_what_an_inner_mutation_rolled_back_is_not_committed(
    app: Application, do: Do
) -> None:
    await app.mutation("app:outer")
    notes = await app.query("app:notes")
    assert [note.text for note in notes] == ["outer before", "inner that succeeded", "outer after"]


@in_app
async def test_a_failing_outer_mutation_takes_its_inner_ones_with_it(
    app: Application, do: Do
) -> None:
    outcome = await app.run_mutation("app:outer_fails", {}, Identity.ANONYMOUS)
    assert outcome.error is not None and wire.decode(outcome.error.data or b"") == "outer failed"
    assert await app.query("app:notes") == []
