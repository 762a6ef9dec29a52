"""One process of a service, over scripted networks and what the environment names; prints its port.

Run: ``python guarded_process.py``; it ends when its input does.
"""

import asyncio
import sys

import uvicorn
from tests.fakes.tracker import ScriptedTracker, opened, three_networks

from balance_tracker.api.app import create_app
from balance_tracker.bootstrap import load_settings


async def main() -> None:
    settings = load_settings()
    tracker = ScriptedTracker(three_networks(), settings=settings)
    app = create_app(open_tracker=lambda: opened(tracker))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, proxy_headers=False))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(main())
