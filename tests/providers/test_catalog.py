import sys
from collections.abc import AsyncIterator, Mapping

import pytest
from devteam_worker.providers import discovery
from devteam_worker.providers.base import FailureReason, LocalModel, Prompt, ProviderError
from devteam_worker.providers.catalog import Catalog
from devteam_worker.providers.discovery import found_providers
from devteam_worker.providers.sim import SimProvider
from devteam_worker.settings import WorkerSettings, load_settings
from structlog.testing import capture_logs

from devteam.mesh.errors import InvalidInput
from devteam.mesh.redaction import HIDDEN, hidden
from tests.fakes.clock import FakeClock
from tests.fakes.ollama_server import PULLED, OllamaServer, done, part, refusal, stream

KEY = {"ANTHROPIC_API_KEY": "sk-ant-test"}
NOTHING_LISTENS = "127.0.0.1:9"


class NamedProvider(SimProvider):
    """A provider that has one model on this machine, and may fail to say so."""

    def __init__(self, name: str, *, broken: bool = False) -> None:
        super().__init__(FakeClock())
        self.name = name
        self.broken = broken

    async def models(self) -> list[LocalModel]:
        if self.broken:
            raise ProviderError(FailureReason.PROVIDER_CONNECTION, "It does not answer.")
        return [LocalModel(f"{self.name}:x")]


def catalog(*names: str, simulate: bool = False, aliases: Mapping[str, str] | None = None) -> Catalog:
    providers = {name: NamedProvider(name) for name in names}
    if aliases is None:
        return Catalog(providers, simulate=simulate)
    return Catalog(providers, simulate=simulate, aliases=aliases)


def settings(ollama: str = NOTHING_LISTENS, **flags: object) -> WorkerSettings:
    return load_settings(None, flags, {"OLLAMA_HOST": ollama, "ANTHROPIC_BASE_URL": f"http://{NOTHING_LISTENS}"})


@pytest.fixture
async def ollama(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OllamaServer]:
    # While another thread imports an SDK, an answer may take its time.
    monkeypatch.setattr(discovery, "_OLLAMA_PATIENCE", 60.0)
    async with OllamaServer() as server:
        server.install({"llama3.3:latest": 42})
        yield server


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("opus", "anthropic"),
        ("claude-sonnet-4-6", "anthropic"),
        ("ollama:llama3.3", "ollama"),
        ("openai:org/qwen3-8b", "openai"),
        ("sim", "sim"),
        ("sim:slow", "sim"),
    ],
)
def test_a_models_name_says_who_serves_it(model: str, provider: str) -> None:
    assert catalog("sim", "anthropic", "ollama", "openai").provider_for(model).name == provider


def test_an_alias_goes_where_the_name_it_stands_for_goes() -> None:
    served = catalog("sim", "anthropic", "ollama", aliases={"fast": "ollama:llama3.2", "house": "our-claude"})

    assert [served.provider_for(model).name for model in ("fast", "house")] == ["ollama", "anthropic"]


def test_a_simulation_serves_every_model_whatever_its_name() -> None:
    served = catalog("sim", "anthropic", simulate=True)

    assert {served.provider_for(model).name for model in ("opus", "ollama:x", "gpt-9")} == {"sim"}
    assert served.patterns() == ()


def test_a_name_that_nobody_could_serve_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ProviderError) as caught:
        catalog("sim").provider_for("gpt-9")

    assert caught.value.reason is FailureReason.INVALID_REQUEST
    assert caught.value.message == (
        "No provider knows the model 'gpt-9'; known are opus, sonnet, haiku, claude-..., ollama:..., openai:..., sim."
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "opus",
            "Model 'opus' is not served here: this worker has no Anthropic API key; set ANTHROPIC_API_KEY on it.",
        ),
        (
            "ollama:x",
            (
                "Model 'ollama:x' is not served here: this worker found no Ollama when it started; "
                "run `ollama serve` on it and restart it."
            ),
        ),
        (
            "openai:x",
            (
                "Model 'openai:x' is not served here: this worker has no OpenAI-compatible server; set OPENAI_API_KEY "
                'or openai.baseUrl on it, and install "devteam-orchestrator[openai]" there.'
            ),
        ),
    ],
)
def test_a_model_of_a_provider_that_is_not_here_says_what_is_missing(model: str, message: str) -> None:
    with pytest.raises(ProviderError) as caught:
        catalog("sim").provider_for(model)

    assert (caught.value.reason, caught.value.message) == (FailureReason.MODEL_NOT_FOUND, message)


def test_patterns_name_what_the_providers_serve() -> None:
    assert catalog("sim").patterns() == ("sim", "sim:*")
    assert catalog("sim", "anthropic").patterns() == ("opus", "sonnet", "haiku", "sim", "sim:*", "claude-*")
    assert catalog("sim", "ollama").patterns() == ("sim", "sim:*", "ollama:*")
    assert catalog("sim", "openai").patterns() == ("sim", "sim:*", "openai:*")


async def test_local_models_are_those_of_every_provider_that_answers() -> None:
    served = Catalog({"a": NamedProvider("a", broken=True), "b": NamedProvider("b")})

    assert await served.local_models() == [LocalModel("b:x")]


async def test_a_machine_with_a_key_and_an_ollama_has_both(ollama: OllamaServer) -> None:
    found = await found_providers(settings(ollama.url), FakeClock(), KEY)
    await found.close()

    assert (sorted(found.providers), found.simulate) == (["anthropic", "ollama", "sim"], False)


async def test_a_machine_without_anything_simulates_for_a_mesh_of_its_own() -> None:
    found = await found_providers(settings(api_url="http://127.0.0.1:7400"), FakeClock(), {})

    assert (sorted(found.providers), found.simulate) == (["sim"], True)


@pytest.mark.parametrize("api_url", ["https://devteam.example", "10.0.0.7:7400", "dns:///mesh:7400"])
async def test_a_machine_without_anything_serves_sim_alone_for_a_mesh_elsewhere(api_url: str) -> None:
    found = await found_providers(settings(api_url=api_url), FakeClock(), {})

    assert (sorted(found.providers), found.simulate) == (["sim"], False)


async def test_asked_for_sim_a_machine_simulates_whatever_it_has(ollama: OllamaServer) -> None:
    found = await found_providers(
        settings(ollama.url, provider="sim", api_url="https://devteam.example"), FakeClock(), KEY
    )

    assert (sorted(found.providers), found.simulate) == (["sim"], True)
    assert ollama.requests == []


async def test_asked_for_one_provider_a_machine_leaves_the_other_alone(ollama: OllamaServer) -> None:
    chosen = [
        await found_providers(settings(ollama.url, provider=name), FakeClock(), KEY) for name in ("anthropic", "ollama")
    ]
    for found in chosen:
        await found.close()

    assert [sorted(found.providers) for found in chosen] == [["anthropic", "sim"], ["ollama", "sim"]]


async def test_asked_for_anthropic_without_a_key_a_worker_does_not_start() -> None:
    with pytest.raises(InvalidInput, match=r"worker\.provider: is anthropic, but ANTHROPIC_API_KEY is not set"):
        await found_providers(settings(provider="anthropic"), FakeClock(), {"ANTHROPIC_API_KEY": " "})


@pytest.mark.parametrize(
    ("flags", "environ"),
    [
        ({}, {"OPENAI_API_KEY": "sk-test"}),
        ({"openai": {"baseUrl": "http://127.0.0.1:9/v1"}}, {}),
        ({"provider": "openai", "openai": {"baseUrl": "http://127.0.0.1:9/v1"}}, {}),
    ],
    ids=["key", "server", "asked for"],
)
async def test_a_key_or_a_server_brings_openai_models(flags: dict[str, object], environ: dict[str, str]) -> None:
    """Whether the server answers yet or not: it was named."""
    told = load_settings(None, flags, {"OLLAMA_HOST": NOTHING_LISTENS})
    found = await found_providers(told, FakeClock(), environ)
    await found.close()

    assert (sorted(found.providers), found.simulate) == (["openai", "sim"], False)


async def test_keys_of_providers_are_in_no_log_whatever_they_look_like() -> None:
    keys = {"OPENAI_API_KEY": "canary of openai ", "ANTHROPIC_API_KEY": "canary of anthropic"}
    found = await found_providers(settings(provider="sim"), FakeClock(), keys)
    await found.close()

    assert hidden("asked with canary of openai, canary of anthropic") == f"asked with {HIDDEN}, {HIDDEN}"


async def test_the_variable_that_other_programs_read_names_the_server() -> None:
    told = load_settings(None, {}, {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OLLAMA_HOST": NOTHING_LISTENS})

    found = await found_providers(told, FakeClock(), {})
    await found.close()

    assert "openai" in found.providers


async def test_asked_for_openai_without_key_and_server_a_worker_does_not_start() -> None:
    expected = r"worker\.provider: is openai, but neither OPENAI_API_KEY nor openai\.baseUrl is set"
    with pytest.raises(InvalidInput, match=expected):
        await found_providers(settings(provider="openai"), FakeClock(), {})


async def test_asked_for_openai_without_the_sdk_a_worker_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)

    with pytest.raises(InvalidInput, match=r'pip install "devteam-orchestrator\[openai\]"'):
        await found_providers(settings(provider="openai"), FakeClock(), {"OPENAI_API_KEY": "sk-test"})


async def test_left_to_itself_a_worker_without_the_sdk_goes_on_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)

    with capture_logs() as lines:
        found = await found_providers(settings(), FakeClock(), {"OPENAI_API_KEY": "sk-test"})

    assert sorted(found.providers) == ["sim"]
    assert [line["event"] for line in lines] == ["openai models are not served"]


async def test_what_the_owner_says_of_ollama_reaches_it(ollama: OllamaServer) -> None:
    ollama.show(refusal(404, "not found"), context=131_072)
    ollama.pull(PULLED)
    ollama.answer(stream(part("Hi"), done()))
    said = {"host": ollama.url, "autoPull": True, "keepAlive": "30m", "numCtx": 5_000}
    told = load_settings(None, {"provider": "ollama", "ollama": said}, {})
    found = await found_providers(told, FakeClock(), {})

    async for _ in found.provider_for("ollama:llama3.3").stream(Prompt("ollama:llama3.3", "Hi")):
        pass
    await found.close()

    asked = ollama.asked.body
    assert (asked["keep_alive"], asked["options"]["num_ctx"]) == ("30m", 5_000)
