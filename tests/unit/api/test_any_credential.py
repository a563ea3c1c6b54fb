"""Whatever is shown, the answer is a refusal of ours, and nothing else is raised."""

from hypothesis import given
from hypothesis import strategies as st

from pushlane.api.authorizer import Authorizer
from pushlane.api.refusals import CredentialRefused
from tests.unit.api.callers import SECRET, Callers, connect_event, event

CALLERS = Callers()
CALLERS.key()
CALLERS.issuer()
AUTHORIZER = Authorizer(CALLERS.credentials, lambda *_said, **_fields: None)

PIECES = st.sampled_from(
    [
        "pl_",
        "key00001",
        "_",
        SECRET,
        "Bearer ",
        "bearer",
        ".",
        "eyJhbGciOiJub25lIn0",
        "eyJpc3MiOiJ4In0",
        "=",
        " ",
        "\x00",
        "é",
    ]
)
SHOWN = st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=8).map("".join)).filter(
    lambda text: f"pl_key00001_{SECRET}" not in text
)
NAMES = st.sampled_from(["authorization", "Authorization", "x-api-key", "X-API-Key", "cookie"])


@given(headers=st.dictionaries(NAMES, SHOWN), query=st.dictionaries(st.sampled_from(["ticket", "key", "x"]), SHOWN))
def test_any_headers_and_query(headers: dict[str, str], query: dict[str, str]) -> None:
    for path in ("/v1/tasks", "/v1/tasks/t-1/events"):
        assert AUTHORIZER.handle(event(headers, query, path=path)) == {"isAuthorized": False}
    denied = AUTHORIZER.handle(connect_event(headers, query))
    assert denied["policyDocument"]["Statement"][0]["Effect"] == "Deny"


@given(SHOWN)
def test_any_credential(shown: str) -> None:
    try:
        CALLERS.credentials.principal_of(shown)
    except CredentialRefused:
        return
    raise AssertionError(f"{shown!r} let somebody in")
