"""Token ids of texts, as the server of a model has them."""

from collections import OrderedDict

from orchestrator.endpoints.transport import Transport
from orchestrator.endpoints.wire import TokenizeRequest, TokenizeResponse
from orchestrator.errors import BadResponse

CAPACITY = 20_000


class Tokenizer:
    """Asks ``/tokenize``, and remembers the latest ``capacity`` texts: siblings share them."""

    def __init__(self, transport: Transport, capacity: int = CAPACITY) -> None:
        self._transport = transport
        self._capacity = capacity
        self._known: OrderedDict[str, tuple[int, ...]] = OrderedDict()

    async def ids(self, text: str) -> tuple[int, ...]:
        """A text's ids, without special tokens other than those written in it.

        Raises ``EndpointError``.
        """
        if not text:
            return ()
        known = self._known.get(text)
        if known is None:
            request = TokenizeRequest(
                model=self._transport.endpoint.model, prompt=text, add_special_tokens=False
            )
            answer = await self._transport.post("/tokenize", request, TokenizeResponse)
            known = tuple(answer.tokens)
        self._known[text] = known
        self._known.move_to_end(text)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return known

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
