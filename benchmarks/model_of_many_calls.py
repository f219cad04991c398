"""A scripted model that asks for some calls at once, and then answers; `… 5` for five."""

import sys
import threading

from tests.servers.scripted_model import ScriptedModel
from tests.servers.scripted_replies import Reply, Request, calls, text

from .tools import ANSWER, ARGUMENTS


def main() -> None:
    count = int(sys.argv[1])

    def reply(request: Request) -> Reply:
        if any(message["role"] == "tool" for message in request.messages):
            return text(ANSWER)
        name = request.tool_names[0]
        # Different ones: the same call over and over would be stopped.
        return calls(*((name, {**ARGUMENTS, "query": f"mug {each}"}) for each in range(count)))

    with ScriptedModel(reply, keeps_requests=False) as model:
        print(f"READY {model.base_url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
