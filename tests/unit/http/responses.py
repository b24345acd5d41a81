"""Answers as a transport gives them, for what judges them by status and headers."""

from multidict import CIMultiDict

from stageport.http.messages import Response


def answer(status: int = 200, **headers: str) -> Response:
    return Response(status, CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}), b"")
