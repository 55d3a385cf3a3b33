"""The page of journeys: recent ones, one as lanes on a time line, and the doctor's verdict.

Python reads spans and judges them; the scripts in static/ only draw. It needs the extra `journey[web]`.
"""

from journey.web.look import Look
from journey.web.routes import create_app, pages

__all__ = ["Look", "create_app", "pages"]
