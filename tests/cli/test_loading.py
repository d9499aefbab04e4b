"""Loading apps: what can be named, what is imported, and what each mistake is answered with."""

from __future__ import annotations

import importlib
import sys

import pytest

from durableq.app import App
from durableq.cli.discovery import Named
from durableq.cli.loading import load_apps, try_apps
from durableq.cli.reasons import AppsRefused, Reason
from durableq.words.errors import ConfigError
from tests.cli.project import Project, declares


def load(*references: str) -> list[App]:
    return list(load_apps(Named(references)).values())


def refused(*references: str) -> str:
    with pytest.raises(AppsRefused) as found:
        load(*references)
    return str(found.value)


def test_a_module_and_a_name(project: Project) -> None:
    project.app("pkg/app.py")
    (app,) = load("pkg.app:app")
    assert set(app.functions) == {"pay"}


def test_a_module_that_holds_one_app_needs_no_name(project: Project) -> None:
    project.app("shop.py")
    project.write("shop2.py", "from shop import app\nthe_same = app")
    assert load("shop2") == load("shop:app")


def test_a_module_that_holds_several_needs_one(project: Project) -> None:
    project.app("shop.py", more="); other = dq.App('other'")
    assert refused("shop") == "app 'shop': the module holds 2 Apps. Name one of them: shop:app or shop:other"


def test_a_module_that_holds_none_is_no_app(project: Project) -> None:
    project.write("empty.py")
    assert refused("empty") == "app 'empty': the module holds no App. Name the module that makes it"


def test_a_package_without_one_is_answered_with_its_modules(project: Project) -> None:
    project.app("pkg/app.py")
    project.write("pkg/__init__.py")
    project.write("pkg/orders.py", "1 / 0")
    assert refused("pkg").endswith("Name the module that makes it; there are pkg.app, pkg.orders")


def test_names_that_are_not_there(project: Project) -> None:
    project.app("shop.py", more="); number = (3")
    assert "there is no module 'absent' here" in refused("absent:app")
    assert "there is no module 'shop.deep' here" in refused("shop.deep:app")
    assert "did you mean" not in refused("shop.deep:app")
    assert refused("shop.app").endswith("; did you mean shop:app?")
    assert refused("shop:ap") == "app 'shop:ap': module 'shop' has no 'ap'; it has shop:app"
    assert refused("shop:number") == "app 'shop:number' is int, not a durableq App; it has shop:app"


def test_what_a_project_file_names_is_imported_from_beside_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.app("shop.py")
    (project.directory / "deep").mkdir()
    monkeypatch.chdir(project.directory / "deep")
    assert "there is no module 'shop'" in refused("shop")
    assert load_apps(Named(("shop",), str(project.directory))).keys() == {"shop"}


def test_included_modules_are_imported_when_the_app_is_loaded_and_not_before(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(project.directory)
    project.module("shop/app.py", "app = dq.App('shop', include=['shop.orders', 'shop.mails'])")
    project.module("shop/orders.py", f"from shop.app import app\n{declares('order')}")
    project.module("shop/mails.py", f"from shop.app import app\n{declares('mail')}")
    module = importlib.import_module("shop.app")
    assert "shop.orders" not in sys.modules
    (app,) = load("shop.app")
    assert set(app.functions) == {"order", "mail"}
    assert module.app is app


def test_an_included_module_without_functions_is_fine_beside_others(project: Project) -> None:
    project.app(more=", include=['helpers']")
    project.write("helpers.py")
    assert set(load("shop")[0].functions) == {"pay"}


def test_no_functions_is_told_with_all_that_was_imported(project: Project) -> None:
    project.module("shop.py", "app = dq.App('kiosk', include=['helpers', 'more.helpers'])")
    project.write("helpers.py")
    project.write("more/helpers.py")
    assert refused("shop:app") == (
        "app 'kiosk' (shop:app) has no functions: none is declared for it by what was imported, shop, helpers, "
        "more.helpers. Name the modules that declare its functions: App('kiosk', include=[…])"
    )


def test_a_file_imported_under_two_names_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.module("pkg/app.py", "app = dq.App('kiosk', include=['pkg.orders'])")
    project.module("pkg/orders.py", f"from pkg.app import app\n{declares('order')}")
    monkeypatch.syspath_prepend(project.directory)
    monkeypatch.chdir(project.directory / "pkg")
    assert "There is another App of this id with functions, pkg.app:app: name that one" in refused("app")


def test_an_included_module_that_is_not_there_is_told_with_who_wants_it(project: Project) -> None:
    project.app(more=", include=['shop_orders', 'pkg.absent']")
    project.write("pkg/__init__.py")
    said = refused("shop")
    assert said.startswith("2 reasons:")
    assert "- include='shop_orders' of app 'shop': there is no module 'shop_orders' here" in said
    assert "- include='pkg.absent' of app 'shop': there is no module 'pkg.absent' here" in said


def test_what_code_raises_at_import_is_told_with_its_line_and_not_ours(project: Project) -> None:
    project.app(more=", include=['a', 'b', 'c', 'd', 'e']")
    project.write("a.py", "import nosuch")
    project.write("b.py", "def f():\n    return 1 / 0\nf()")
    project.write("c.py", "def f(:")
    project.module("d.py", f"from shop import app\n{declares('order', retries='99')}")
    project.write("e.py", "import json\njson.loads('{')")
    said = refused("shop").splitlines()
    assert said[1] == "- a.py:1: ModuleNotFoundError: No module named 'nosuch'"
    assert said[2] == "- b.py:2: ZeroDivisionError: division by zero"
    assert said[3] == "- c.py:1: SyntaxError: invalid syntax"
    assert said[4].startswith("- d.py:4: function 'order': retries must be 0 to 20")
    assert said[5].startswith("- e.py:2: JSONDecodeError: Expecting property name")
    assert len(said) == 6


def test_an_error_in_an_installed_app_has_its_line_as_well(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("lib/site-packages/installed.py", "import json\njson.loads('{')")
    monkeypatch.syspath_prepend(project.directory / "lib/site-packages")
    assert "site-packages/installed.py:2: JSONDecodeError" in refused("installed")


def test_the_other_apps_are_loaded_and_their_faults_told_too(project: Project) -> None:
    project.app("good.py", "good")
    project.write("bad.py", "raise SystemExit(3)")
    reasons: list[Reason] = []
    apps = try_apps(Named(("bad", "good", "worse")), reasons)
    assert set(apps) == {"good"}
    assert [str(reason)[:24] for reason in reasons] == ["bad.py:1: SystemExit: 3", "app 'worse': there is no"]


def test_two_apps_with_one_id_are_refused_naming_both(project: Project) -> None:
    project.app("one.py")
    project.app("two.py")
    assert refused("one", "two:app") == "two apps have the id 'shop': one and two:app. Give one another id"


def test_an_app_named_twice_is_one(project: Project) -> None:
    project.app()
    assert len(load("shop", "shop:app")) == 1


def test_objects_that_load_themselves_when_asked_for_their_class_are_not_asked(project: Project) -> None:
    project.app(
        more=")\nclass Lazy:\n    __class__ = property(lambda self: 1 / 0)\nlazy = Lazy(",
    )
    assert len(load("shop")) == 1


@pytest.mark.parametrize(
    ("include", "rule"),
    [
        ("shop.orders", "app 'a': include must be a list of modules such as ['shop.orders'], not 'shop.orders'"),
        (3, "include must be a list of modules"),
        (["shop/orders.py"], "include must hold names as in `import shop.orders`, not 'shop/orders.py'"),
        ([".orders"], "not '.orders'"),
        ([None], "not None"),
        ([""], "not ''"),
    ],
)
def test_an_include_that_breaks_a_rule_is_refused_when_the_app_is_declared(include: object, rule: str) -> None:
    with pytest.raises(ConfigError) as found:
        App("a", include=include)  # type: ignore[arg-type]
    assert rule in str(found.value)
