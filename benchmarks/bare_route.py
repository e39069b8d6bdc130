"""The first reference of the benchmarks: a bare FastAPI route that returns bytes it has ready, and no middleware."""

from fastapi import FastAPI
from starlette.responses import Response

from benchmarks.reference_server import BODY, PATH, serve

app = FastAPI(openapi_url=None)


@app.get(PATH)
async def bare() -> Response:
    return Response(BODY, media_type="application/json")


if __name__ == "__main__":
    serve(app)
