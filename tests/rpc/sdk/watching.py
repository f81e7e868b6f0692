"""What a watch says."""

from devteam import DevTeamClient, Tokens


async def spoken(client: DevTeamClient, watched_id: str) -> str:
    """All words that a watch tells until it ends."""
    return "".join([event.text async for event in client.watch(watched_id) if isinstance(event, Tokens)])
