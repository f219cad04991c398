"""Any server that speaks OpenAI's chat completions, by the openai SDK.

The SDK holds the client, the login and the errors. Its models are left aside: building one for
each streamed chunk, and walking the tools of each request, takes ten times the CPU of reading
the few fields that we use. Its retries too: they sleep where a cancelled turn cannot wake them.
"""

import os
import threading
from collections.abc import Generator, Iterator
from contextlib import closing

import httpx2
from openai import APIError, Omit, OpenAI, Stream

from automate_llm.cancellation import Cancellation
from automate_llm.exceptions import ModelCancelled, ModelError, ModelRefused
from automate_llm.garbage import sparing_collector
from automate_llm.providers import failures, reader
from automate_llm.providers.alarms import Alarms
from automate_llm.providers.base import (
    Completed,
    ModelConfig,
    ModelEvent,
    ModelRequest,
    OnText,
    TextDelta,
)
from automate_llm.providers.bodies import body
from automate_llm.providers.crowd import crowd
from automate_llm.providers.deltas import StreamedAnswer
from automate_llm.providers.line import Answer, Interruption, Line, refusal

OPENAI_URL = "https://api.openai.com/v1"
MAX_IDLE_CLIENTS = 16
MAX_PROVIDERS = 32
END_SECONDS = 0.25
"""How long a server may take to end its stream after it said `[DONE]`, to keep the connection."""

alarms = Alarms(END_SECONDS)

_ACCOUNT_HEADERS = ("OpenAI-Organization", "OpenAI-Project")

_providers: list["OpenAIProvider"] = []
_providers_lock = threading.Lock()


def openai_provider(config: ModelConfig) -> "OpenAIProvider":
    """The one provider of this process for `config`, so that connections are used again."""
    with _providers_lock:
        for each in _providers:
            if each.config == config:
                return each
        provider = OpenAIProvider(config)
        _providers.append(provider)
        oldest = _providers.pop(0) if len(_providers) > MAX_PROVIDERS else None
    if oldest is not None:
        oldest.close()
    return provider


def close_providers() -> None:
    """Close the idle connections of every provider of this process."""
    with _providers_lock:
        providers = [*_providers]
        _providers.clear()
    for each in providers:
        each.close()


def _after_fork() -> None:
    # A child must not write on its parent's connections; it leaves them unclosed and forgets.
    global _providers_lock
    _providers_lock = threading.Lock()
    _providers.clear()
    alarms.forget_all()


os.register_at_fork(after_in_child=_after_fork)


class OpenAIProvider:
    """One model behind one address; safe to use from many threads at once."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self._problem = _problem(config)
        self._lock = threading.Lock()
        self._idle: list[_Client] = []
        self._closed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config!r})"

    def stream(self, request: ModelRequest, cancellation: Cancellation) -> Iterator[ModelEvent]:
        """Yield text as it arrives, then one `Completed`.

        A request that the server could not take is sent again, `max_retries` times, while no
        byte of an answer has come. Cancelling ends a blocked read at once, and a connection
        that is still being made after `connect_timeout` at the latest.

        Raises:
            ModelRefused: also where the configuration cannot work; nothing was sent then.
            ModelUnavailable, ModelStreamBroken, ModelCancelled: as their names say.
        """
        return self._answer(request, cancellation, None)

    def answer(
        self, request: ModelRequest, cancellation: Cancellation, on_text: OnText
    ) -> Completed:
        """The whole answer; `on_text` is given its text meanwhile, as `ModelProvider` says.

        Raises:
            ModelError: as `stream` does.
        """
        with closing(self._answer(request, cancellation, on_text)) as events:
            for event in events:
                if isinstance(event, Completed):
                    return event
                on_text(event.text)
        raise failures.broken_off()

    def _answer(
        self, request: ModelRequest, cancellation: Cancellation, on_text: OnText | None
    ) -> Generator[ModelEvent]:
        if self._problem:
            raise ModelRefused(self._problem)
        interruption = Interruption()
        take_back = cancellation.on_cancel(interruption.fire)
        client = self._take()
        crowd.enter()
        client.line.carry(interruption)
        try:
            with sparing_collector:
                yield from self._events(client, request, interruption, on_text)
        except ModelError:
            _raise_if_fired(interruption)
            raise
        finally:
            crowd.leave()
            take_back()
            client.line.release()
            self._give_back(client)

    def close(self) -> None:
        """Close the idle connections; one in use closes when its answer ends."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()

    def _events(
        self,
        client: "_Client",
        request: ModelRequest,
        interruption: Interruption,
        on_text: OnText | None,
    ) -> Iterator[ModelEvent]:
        response, tools_dropped = self._ask(client, request, interruption)
        answer = StreamedAnswer()
        with closing(response):
            for text in self._texts(response, answer, interruption, on_text):
                yield TextDelta(text)
        yield answer.assembly.completed(tools_dropped=tools_dropped)

    def _ask(
        self, client: "_Client", request: ModelRequest, interruption: Interruption
    ) -> tuple[Answer, bool]:
        """The answer's head, and whether it was only given without tools."""
        messages, tools = request.messages, request.tools
        try:
            try:
                return self._send(client, body(self.config, messages, tools), interruption), False
            except APIError as error:
                if not tools or not failures.refuses_tools(error):
                    raise
            return self._send(client, body(self.config, messages, b""), interruption), True
        except APIError as error:
            raise failures.translated(error, self.config.timeout) from None

    def _send(self, client: "_Client", body: bytes, interruption: Interruption) -> Answer:
        attempt = 0
        while True:
            _raise_if_fired(interruption)
            try:
                return client.post(body)
            except APIError as error:
                pause = failures.pause_before_retry(error, attempt)
                if pause is None or attempt >= self.config.max_retries:
                    raise
            interruption.pause(pause)
            attempt += 1

    def _texts(
        self,
        response: Answer,
        answer: StreamedAnswer,
        interruption: Interruption,
        on_text: OnText | None,
    ) -> Iterator[str]:
        """What `on_text` is not given, which is everything where there is none."""
        kind = response.content_type
        if kind.startswith(("text/html", "application/json")):
            raise failures.no_stream(kind)
        assembly = answer.assembly
        pieces = iter(response)
        try:
            yield from self._read_by_reader(response, answer, interruption, on_text)
            while not assembly.done:
                piece = next(pieces, b"")
                for text in answer.texts(piece or b"\n"):
                    _raise_if_fired(interruption)
                    yield text
                if not piece:
                    break
            else:
                if response.connection.in_body:
                    _read_to_end(pieces, interruption)
        except httpx2.TimeoutException:
            if not answer.has_begun:
                raise failures.silent(self.config.timeout) from None
        except httpx2.TransportError:
            _raise_if_fired(interruption)
        if not assembly.finished:
            raise failures.broken_off()

    def _read_by_reader(
        self,
        response: Answer,
        answer: StreamedAnswer,
        interruption: Interruption,
        on_text: OnText | None,
    ) -> Iterator[str]:
        """As much of the answer as the process's reader can read; perhaps nothing."""
        if not (reader.IS_SUPPORTED and response.connection.in_body):
            reader.reader.is_in()
            return

        def take(piece: bytes) -> bool:
            _raise_if_fired(interruption)
            texts: list[str] = []
            try:
                texts.extend(answer.texts(piece))
            finally:
                if texts:
                    hand("".join(texts))
            return not answer.assembly.done

        reading = reader.Reading(response.connection, take)
        hand = on_text or reading.post
        yield from reading.texts(self.config.timeout)

    def _take(self) -> "_Client":
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return _Client(self.config)

    def _give_back(self, client: "_Client") -> None:
        with self._lock:
            if not self._closed and len(self._idle) < MAX_IDLE_CLIENTS:
                self._idle.append(client)
                return
        client.close()


class _Client:
    """An SDK client on a line of its own, for one request at a time."""

    def __init__(self, config: ModelConfig) -> None:
        self.line = Line()
        # What is given here is not looked up in the environment, where the key of another
        # account, or another address, may stand.
        key = config.api_key
        elsewhere = {} if _is_openai(config) else dict.fromkeys(_ACCOUNT_HEADERS, Omit())
        self._headers = {"Authorization": f"Bearer {key}" if key else Omit(), **elsewhere}
        timeout = httpx2.Timeout(config.timeout, connect=config.connect_timeout)
        self._sdk = OpenAI(
            api_key=key or "none",
            admin_api_key="",
            base_url=config.base_url or OPENAI_URL,
            max_retries=0,
            timeout=timeout,
            http_client=httpx2.Client(
                transport=self.line,
                timeout=timeout,
                trust_env=False,
                follow_redirects=False,
                headers={"accept-encoding": "identity"},
            ),
        )

    def post(self, body: bytes) -> Answer:
        """The answer to a request for a stream, its body yet unread.

        The SDK makes the first request. Later ones differ in nothing but their body, so they go
        out with what it wrote, at a tenth of the cost; whatever ends one is then given to the SDK.

        Raises:
            APIError: the server could not be reached, or answered with an error.
        """
        try:
            answer = self.line.repeat(body)
            if answer is not None and answer.is_success:
                return answer
            if answer is not None:
                self.line.answer_next(refusal(answer))
        except httpx2.TransportError as exc:
            self.line.answer_next(exc)
        return self._by_sdk(body)

    def _by_sdk(self, body: bytes) -> Answer:
        self._sdk.post(
            "/chat/completions",
            content=body,
            cast_to=httpx2.Response,
            options={"headers": self._headers},
            stream=True,
            stream_cls=Stream[object],
        )
        return self.line.answer

    def close(self) -> None:
        """Close the connection."""
        self._sdk.close()


def _problem(config: ModelConfig) -> str:
    """Why this configuration cannot work; empty where it can."""
    try:
        url = httpx2.URL(config.base_url or OPENAI_URL)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        return (
            "The address of the model's server is not usable. An operator should set the model's "
            "BASE_URL (OPENAI_BASE_URL) to http(s)://host/path, without a name and password."
        )
    if not config.api_key and _is_openai(config):
        return (
            "This site has no key for its model. An operator should set OPENAI_API_KEY, or "
            "OPENAI_BASE_URL for another server that speaks the same protocol."
        )
    if not all("!" <= character <= "~" for character in config.api_key):
        return (
            "The key for the model holds a character that no key has, such as a space or a line "
            "end. An operator should set the model's API_KEY (OPENAI_API_KEY) again."
        )
    return ""


def _is_openai(config: ModelConfig) -> bool:
    return not config.base_url or httpx2.URL(config.base_url).host == httpx2.URL(OPENAI_URL).host


def _read_to_end(pieces: Iterator[bytes], interruption: Interruption) -> None:
    """Read what is left after `[DONE]`, so that the connection can be used again."""
    impatience = alarms.ring(interruption.hang_up)
    try:
        for _ in pieces:
            continue
    except httpx2.TransportError:
        return
    finally:
        impatience.cancel()


def _raise_if_fired(interruption: Interruption) -> None:
    if interruption.fired:
        raise ModelCancelled("The answer was stopped.") from None
