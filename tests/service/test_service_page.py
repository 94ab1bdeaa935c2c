"""docs/service.md lists exactly what is implemented."""

from ujobs_lab.pages.service_reference import PAGE, renewed


def test_the_page_lists_the_missing_features() -> None:
    page = PAGE.read_text()
    assert "CreateThing (`billingGroupName`)" in " ".join(page.split())
    assert renewed(page) == page, "renew it: python -m ujobs_lab.pages.service_reference"
