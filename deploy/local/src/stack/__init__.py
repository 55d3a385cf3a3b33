"""The whole system on one machine, without Docker: fetched, built, started and stopped by one small runner."""

from stack.console import StackError
from stack.runner import Stack
from stack.settings import Settings

__all__ = ["Settings", "Stack", "StackError"]
