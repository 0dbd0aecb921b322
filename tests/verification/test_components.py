from pathlib import Path

from gammaray.verification import checks
from gammaray.verification.components import COMPONENTS, State, components_document

ROOT = Path(__file__).resolve().parents[2]


def test_the_document_is_current() -> None:
    assert (ROOT / "docs" / "components.md").read_text() == components_document()


def test_every_named_check_and_module_exists() -> None:
    for component in COMPONENTS:
        if component.check:
            assert callable(getattr(checks, component.check)), component.name
        for place in component.module.split(", ") if component.module else ():
            path = place.split(":")[0].split("(")[0].strip()
            if "/" in path:
                assert (ROOT / "gammaray" / path).exists() or (ROOT / path).exists(), (component.name, path)


def test_what_is_not_built_has_no_check_and_what_is_built_has_one() -> None:
    for component in COMPONENTS:
        if component.state is State.NONE:
            assert not component.check, component.name
            assert not component.module, component.name
        if component.state is State.BUILT:
            assert component.check, component.name
