"""Sign what goes out, where the producer has an envelope key; without one it goes out as it is."""

import msgspec

from pushlane.client.errors import InvalidSubmission
from pushlane.model.envelope_proof import REPEATED_AS, EnvelopeKey, signed_envelope


def signed(body: str, name: str, key: EnvelopeKey | None) -> str:
    """The encoded envelope `name`, with its proof when there is a key. Raises `InvalidSubmission` where a repeat of the
    envelope would be something new: the router refuses such a one when it is signed.
    """
    if key is None:
        return body
    field = REPEATED_AS.get(name)
    if field is not None and msgspec.json.decode(body)["data"].get(field) is None:
        raise InvalidSubmission(f"$.data.{field}", f"a signed {name} needs it, so that a repeat changes nothing")
    return signed_envelope(body.encode(), key).decode()
