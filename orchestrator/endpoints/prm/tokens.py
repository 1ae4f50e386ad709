"""Token ids of texts, as the server of a model has them."""

from orchestrator.endpoints.http.wire import TokenizeRequest, TokenizeResponse
from orchestrator.endpoints.prm.memory import Recent
from orchestrator.endpoints.transport.transport import Transport
from orchestrator.errors import BadResponse

REMEMBERED = 20_000


class Tokenizer:
    """Asks ``/tokenize``, and remembers the latest texts: siblings share most of theirs."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._known: Recent[str, tuple[int, ...]] = Recent(REMEMBERED)

    async def ids(self, text: str) -> tuple[int, ...]:
        """A text's ids, without special tokens other than those written in it.

        Raises ``EndpointError``.
        """
        if not text:
            return ()
        ids = self._known.get(text)
        if ids is None:
            request = TokenizeRequest(
                model=self._transport.endpoint.model, prompt=text, add_special_tokens=False
            )
            answer = await self._transport.post("/tokenize", request, TokenizeResponse)
            ids = tuple(answer.tokens)
            self._known.put(text, ids)
        return ids

    async def only_id(self, text: str) -> int:
        """The id of a text that is one token. Raises ``BadResponse`` where it is not."""
        ids = await self.ids(text)
        if len(ids) != 1:
            url = self._transport.endpoint.urls[0]
            raise BadResponse(
                f"{url} takes {text!r} for {len(ids)} tokens, not one: is this PRM's family right?",
                url=url,
            )
        return ids[0]
