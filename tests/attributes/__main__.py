"""Write docs/attributes.md anew."""

from tests.attributes.page import PAGE, render

PAGE.write_text(render())
