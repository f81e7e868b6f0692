"""What a chaos agent says: computable from the names of task and attempt, so that a checker needs nobody's word."""


def word(task_id: str, attempt: int, seq: int) -> str:
    """The token with this place, counted from 1."""
    return f"{task_id[-6:]}.{attempt}.{seq} "


def speech(task_id: str, attempt: int, length: int) -> str:
    """The first `length` tokens."""
    return "".join(word(task_id, attempt, seq) for seq in range(1, length + 1))
