"""A LangGraph agent as a worker: it drafts, has its draft reviewed, and drafts again until the review is content.

pip install langgraph, start it, then

devteam task run --model any --queue essays "Why do tides come twice a day?"

`write` and `review` are plain functions here, so that it runs without a key; in yours they ask a model.
"""

import asyncio
from typing import TypedDict

from devteam_worker import DevTeamWorker, Task
from langgraph.graph import END, START, StateGraph

ENOUGH = 3

worker = DevTeamWorker(worker_id="essayist", queues=["essays"], concurrency=2)


class State(TypedDict):
    """What the steps of the graph hand to each other."""

    question: str
    draft: str
    round: int


def write(state: State) -> dict[str, object]:
    """Write, or write anew."""
    number = state["round"] + 1
    return {"draft": f"Draft {number} about: {state['question']}", "round": number}


def review(state: State) -> str:
    """Say whether it is good enough."""
    return END if state["round"] >= ENOUGH else "write"


builder = StateGraph(State)
builder.add_node("write", write)
builder.add_edge(START, "write")
builder.add_conditional_edges("write", review)
graph = builder.compile()


@worker.on_task
async def essay(task: Task) -> str:
    """Progress with every step of the graph; the last draft is the answer."""
    draft = ""
    start: State = {"question": task.prompt, "draft": "", "round": 0}
    async for updates in graph.astream(start, stream_mode="updates"):
        for step, update in updates.items():
            await task.progress(f"{step}: round {update['round']}")
            draft = update["draft"]
    return draft


if __name__ == "__main__":
    asyncio.run(worker.start())
