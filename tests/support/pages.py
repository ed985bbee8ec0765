"""Reading pages and sending their forms, as a browser without any scripts does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from lxml import html

from tests.support.client import ADMINISTRATOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.support.client import Client, Response

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SERVICES = "/sipxconfig/services"


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        response: that brought it.
        document: the same as a tree.
    """

    response: Response
    document: Any

    @property
    def status(self) -> int:
        """Of the answer."""
        return self.response.status

    def form(self, name: str) -> Any:
        """The form of this name."""
        (found,) = self.document.xpath("//form[@aria-label=$name]", name=name)
        return found

    def texts(self, path: str) -> list[str]:
        """The texts of elements, blanks made even."""
        return [" ".join(each.text_content().split()) for each in self.document.xpath(path)]

    def text(self, path: str) -> str:
        """The text of the one element, as it is."""
        (found,) = self.document.xpath(path)
        return str(found.text_content())

    @property
    def rows(self) -> list[list[str]]:
        """The cells of its table, row by row."""
        return [
            [" ".join(cell.text_content().split()) for cell in row]
            for row in self.document.xpath("//tbody/tr")
        ]

    def problems(self, name: str) -> list[str]:
        """What stands beside a control."""
        (control,) = self.document.xpath("//form//*[@name=$name]", name=name)
        assert (control.get("aria-invalid") == "true") == (
            (control.get("aria-describedby") or "").endswith(".problems")
        )
        where = f"{control.get('id')}.problems"
        return [
            str(each.text_content()) for each in self.document.xpath("//*[@id=$id]/li", id=where)
        ]


class Visitor:
    """An administrator in front of pages."""

    def __init__(self, client: Client, auth: tuple[str, str] | None = ADMINISTRATOR) -> None:
        self.client = client
        self._auth = auth

    def get(self, path: str) -> Page:
        """Open a page."""
        return _page(self.client.request("GET", path, auth=self._auth))

    def post(
        self,
        path: str,
        fields: Mapping[str, str] | Iterable[tuple[str, str]],
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """Send fields to a page, whether it has a form for them or not."""
        pairs = list(fields.items() if hasattr(fields, "items") else fields)
        body = urlencode(pairs).encode()
        headers = FORM | dict(headers or {})
        return _page(self.client.request("POST", path, body, headers, auth=self._auth))

    def send(self, page: Page, name: str, button: str = "", /, **filled: str) -> Page:
        """Fill in a form of a page and press its first button, or another one.

        Args:
            page: that has the form.
            name: of the form.
            button: ``name=value`` of the button; without it the first one.
            filled: by the names of the controls, the others are left as they are.
        """
        form = page.form(name)
        fields = {key: value for key, value in form.form_values() if key not in filled}
        unknown = [each for each in filled if not form.xpath(".//*[@name=$name]", name=each)]
        assert not unknown
        if button:
            key, _, value = button.partition("=")
            assert form.xpath(".//button[@name=$name][@value=$value]", name=key, value=value)
            fields[key] = value
        return self.post(form.get("action"), fields | filled)

    def call(self, service: str, operation: str, /, **filled: str) -> Page:
        """Open the page of an operation, fill in its form and send it."""
        page = self.get(f"{SERVICES}/{service}/{operation}")
        return self.send(page, operation, **filled)


def _page(response: Response) -> Page:
    text = response.text
    return Page(response, html.fromstring(text) if text.startswith("<!DOCTYPE") else None)
