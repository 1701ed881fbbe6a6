"""FastAPI and uvicorn as the service runs them, with nothing behind; the port is its argument."""

import sys

import uvicorn
from fastapi import FastAPI, Request


def main(port: int) -> None:
    """Serve a route that reads JSON and answers a piece of it."""
    app = FastAPI()

    @app.post("/bare")
    async def echo(request: Request) -> dict[str, str]:
        return {"verdict": str((await request.json())["prompt"])[:10]}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", http="h11", loop="asyncio")


if __name__ == "__main__":
    main(int(sys.argv[1]))
