"""The console's page through API Gateway: anybody gets it, whole, and only by its own names."""

import httpx
import pytest

from tests.e2e.api_deployment import ApiDeployed

pytestmark = pytest.mark.e2e


def test_the_page_is_served_without_a_credential_and_its_data_is_not(api: ApiDeployed) -> None:
    with httpx.Client(base_url=api.http_url, timeout=30) as anybody:
        page = anybody.get("/console")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        script = anybody.get("/console/app.js")
        assert (script.status_code, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
        again = anybody.get("/console/app.js", headers={"if-none-match": script.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert anybody.get("/console/nothing.js").status_code == 404
        assert anybody.get("/v1/live").status_code in (401, 403)
    assert api.http.get("/v1/caller").json()["tenant_id"] == "atlas"
