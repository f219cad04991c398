"""What the client can do, and what proves it in each protocol version."""

from collections.abc import Mapping
from dataclasses import dataclass, field

COLUMNS = (
    "2026-07-28",
    "2025-11-25",
    "2025-06-18",
    "2025-03-26",
    "2024-11-05 SSE",
    "stdio",
    "simple HTTP dialect",
)
ABSENT = "not in this version"

_MODERN, _NOVEMBER, _JUNE, _MARCH, _SSE, _STDIO, _SIMPLE = COLUMNS
_HTTP = (_MODERN, _NOVEMBER, _JUNE, _MARCH)
_LIBRARY = "tests/automate_llm/"
_RESUMED = (
    _LIBRARY + "test_resumption.py::test_an_answer_comes_over_the_stream_that_is_taken_up_again"
)
_NO_REFERENCE = (
    _LIBRARY
    + "test_schemas.py::test_a_reference_that_leads_out_of_the_schema_or_to_no_schema_is_refused"
)
_NOT_ANSWERED = _LIBRARY + "test_questions.py::test_a_modern_servers_requests_are_not_answered"


@dataclass(frozen=True)
class Feature:
    """One row.

    `tests` are functions in this folder, whose peers are real servers. `own` are tests elsewhere,
    as `file::function`, `scenarios` those of the conformance suite; both by column. `older` are
    tests here that speak an older version than their server's newest. `words` fill a cell for
    which there is nothing to test.
    """

    name: str
    tests: tuple[str, ...] = ()
    own: Mapping[str, str] = field(default_factory=dict)
    scenarios: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    older: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)


def _only(*columns: str) -> dict[str, str]:
    return {column: ABSENT for column in COLUMNS if column not in columns}


FEATURES = (
    Feature(
        "version settled by read-only requests, tools found",
        ("test_its_version_is_settled_and_its_tools_are_found",),
        own={
            _SIMPLE: _LIBRARY
            + "test_mcp_client.py::test_tools_are_found_and_called_on_every_kind_of_server"
        },
        scenarios={_NOVEMBER: ("initialize",), _JUNE: ("initialize",)},
    ),
    Feature(
        "a call with arguments, text back",
        ("test_a_call_carries_its_arguments_and_gives_text",),
        own={
            _SIMPLE: _LIBRARY
            + "test_mcp_client.py::test_tools_are_found_and_called_on_every_kind_of_server"
        },
        scenarios={
            _MODERN: ("tools_call",),
            _NOVEMBER: ("tools_call",),
            _JUNE: ("tools_call",),
        },
    ),
    Feature(
        "structured results",
        ("test_a_structured_result_is_a_plain_value",),
        own={_SIMPLE: _LIBRARY + "test_mcp_client.py::test_a_result_is_a_plain_value"},
        words={_MARCH: ABSENT},
    ),
    Feature(
        "a tool's failure is a result",
        ("test_a_failure_of_the_tool_is_a_result_and_an_error",),
        own={
            _SIMPLE: _LIBRARY
            + "test_mcp_client.py::test_a_failure_of_the_tool_is_a_result_and_an_error"
        },
    ),
    Feature(
        "images",
        ("test_a_picture_comes_as_an_image", "test_a_picture_comes_between_its_words"),
        words=_only(*_HTTP, _SSE, _STDIO),
    ),
    Feature(
        "embedded resources",
        ("test_a_resource_comes_embedded", "test_a_file_comes_as_an_embedded_resource"),
        words=_only(*_HTTP, _SSE, _STDIO),
    ),
    Feature(
        "progress",
        ("test_progress_is_heard_in_order",),
        words={
            _JUNE: "SDK 1.10 sends it beside the call, where it is not read",
            _MARCH: "SDK 1.9 sends it beside the call, where it is not read",
            _SIMPLE: ABSENT,
        },
    ),
    Feature(
        "many threads at once",
        ("test_threads_that_call_at_once_get_their_own_answers",),
        own={
            _SIMPLE: _LIBRARY
            + "test_simple_dialect.py::test_threads_that_call_at_once_get_their_own_answers"
        },
    ),
    Feature(
        "a call that is stopped stops at the server",
        ("test_a_call_that_is_stopped_stops_at_the_server",),
        words={_SIMPLE: ABSENT},
    ),
    Feature(
        "sessions: kept, renewed once on 404, ended",
        ("test_a_session_that_was_ended_is_opened_anew",),
        own={
            _NOVEMBER: _LIBRARY
            + "test_mcp_client.py::test_a_forgotten_session_is_renewed_and_the_call_runs_once",
            _JUNE: _LIBRARY + "test_sessions.py::test_every_handshake_version_is_spoken",
            _MARCH: _LIBRARY + "test_sessions.py::test_every_handshake_version_is_spoken",
        },
        words=_only(_NOVEMBER, _JUNE, _MARCH),
    ),
    Feature(
        "a broken event stream is taken up again",
        own=dict.fromkeys((_NOVEMBER, _JUNE, _MARCH), _RESUMED),
        scenarios={_NOVEMBER: ("sse-retry",)},
        older={_NOVEMBER: ("test_a_stream_that_the_server_closed_is_taken_up_again",)},
        words=_only(_NOVEMBER, _JUNE, _MARCH),
    ),
    Feature(
        "questions to a person",
        (
            "test_a_question_is_raised_and_its_answer_goes_back",
            "test_a_question_of_an_older_server_is_answered_at_once",
            "test_the_reference_server_asks_a_person",
        ),
        scenarios={
            _MODERN: ("sep-2322-client-request-state",),
            _NOVEMBER: ("elicitation-sep1034-client-defaults",),
        },
        words={_MARCH: ABSENT, _SIMPLE: ABSENT},
    ),
    Feature(
        "arguments in headers (`x-mcp-header`)",
        ("test_an_argument_is_mirrored_in_a_header",),
        scenarios={
            _MODERN: ("http-standard-headers", "http-custom-headers", "http-invalid-tool-headers")
        },
        words=_only(_MODERN),
    ),
    Feature(
        "how long a list is fresh (`ttlMs`, `cacheScope`)",
        ("test_a_list_says_how_long_it_is_fresh",),
        words=_only(_MODERN, _STDIO),
    ),
    Feature(
        "a change of the tools is heard",
        ("test_a_change_of_the_tools_is_heard",),
        words={_SIMPLE: ABSENT},
    ),
    Feature(
        "tasks",
        ("test_a_call_that_becomes_a_task_is_awaited",),
        words={
            **_only(_MODERN, _STDIO, _NOVEMBER),
            _NOVEMBER: "an experiment of another form, not used",
        },
    ),
    Feature(
        "resources and prompts",
        (
            "test_resources_and_prompts_are_listed_and_read",
            "test_the_reference_servers_resources_and_prompts_are_read",
        ),
        words={_SIMPLE: ABSENT},
    ),
    Feature(
        "JSON Schema 2020-12 kept whole, `$ref` never fetched",
        ("test_a_schema_that_refers_inside_itself_is_kept_whole",),
        own=dict.fromkeys(COLUMNS, _NO_REFERENCE),
        scenarios={
            _MODERN: ("json-schema-2020-12-preservation", "json-schema-ref-no-deref"),
            _NOVEMBER: ("json-schema-2020-12-preservation",),
        },
    ),
    Feature(
        "OAuth 2.1: discovery, registration, PKCE, step-up",
        ("test_a_person_connects_an_account",),
        own={
            _SIMPLE: _LIBRARY
            + "test_oauth_authorization.py::test_a_person_connects_an_account_and_calls_a_tool"
        },
        scenarios={
            _MODERN: ("auth/metadata-default", "auth/scope-step-up", "auth/iss-supported"),
            _NOVEMBER: ("auth/metadata-default", "auth/scope-step-up", "auth/basic-cimd"),
            _JUNE: ("auth/token-endpoint-auth-basic", "auth/token-endpoint-auth-none"),
            _MARCH: (
                "auth/2025-03-26-oauth-metadata-backcompat",
                "auth/2025-03-26-oauth-endpoint-fallback",
            ),
        },
        words={_STDIO: ABSENT},
    ),
    Feature(
        "OAuth without a person: client credentials, workload identity",
        ("test_the_site_gets_a_token_of_its_own",),
        own={
            _SIMPLE: _LIBRARY + "test_oauth_signatures.py::test_a_workloads_identity_gets_a_token"
        },
        scenarios=dict.fromkeys(
            (_MODERN, _NOVEMBER),
            (
                "auth/client-credentials-jwt",
                "auth/client-credentials-basic",
                "auth/wif-jwt-bearer",
            ),
        ),
        words={_STDIO: ABSENT},
    ),
    Feature(
        "tokens bound to a key (DPoP)",
        ("test_a_token_is_shown_with_the_proof_of_its_key",),
        own={
            _SIMPLE: _LIBRARY
            + "test_oauth_signatures.py::test_a_bound_token_is_shown_with_a_fresh_proof_each_time"
        },
        scenarios=dict.fromkeys((_MODERN, _NOVEMBER), ("auth/dpop", "auth/dpop-nonce")),
        words={_STDIO: ABSENT},
    ),
    Feature(
        "sampling, roots and logging declined",
        (
            "test_what_is_deprecated_is_declined_and_the_call_goes_on",
            "test_what_is_deprecated_is_not_offered_so_that_nothing_runs",
        ),
        own={_MODERN: _NOT_ANSWERED},
        words={_SIMPLE: ABSENT},
    ),
    Feature(
        "no process is left",
        ("test_no_process_is_left",),
        words={column: "no process of ours" for column in COLUMNS if column != _STDIO},
    ),
)
