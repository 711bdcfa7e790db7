"""Switching Alpyna on for a process: from the command line, or by ALPYNA=1 in its environment.

In: what is to run (`begin`), or nothing but `sys.argv` (`activate`).  Out: the import hook is in place, the report
is due at exit, and under `activate` the script itself is taken over.

`alpyna install` puts one line into site-packages (`alpyna-startup.pth`), which calls `activate` if ALPYNA is set and
costs microseconds if not. The same can be had from a `sitecustomize.py`:

    import alpyna_hook.startup
    alpyna_hook.startup.activate()

An import hook never sees the script itself. But before CPython opens it, it offers the script's path to
`sys.path_hooks`, because it might be a folder or a zip file. Ours claims a script with loops, CPython then asks our
importer for `__main__`, and gets two lines that run the script as `python -m alpyna` would. Nothing is started anew,
and a script without loops, or with a syntax error, is not claimed. `-c` code is not accelerated, what it imports is.
"""

from __future__ import annotations

import os
import sys

from alpyna_hook import settings as settings_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

    from alpyna_hook.settings import Settings

PTH_NAME = "alpyna-startup.pth"
# `site` executes each line that begins with "import"; this one must work, silently, after Alpyna is uninstalled too.
PTH_LINE = (
    "import os; os.environ.get('ALPYNA', '0') in ('', '0') or exec('try:\\n"
    " from alpyna_hook.startup import activate\\nexcept ImportError: pass\\nelse: activate()')\n"
)

_BOOTSTRAP = "from alpyna_hook.startup import _take_over\n_take_over()\n"


def begin(
    folder: str, main: str, settings: Settings, by_name: bool = True, first: str = "", path: Sequence[str] = ()
) -> bool:  # fmt: skip
    """Hook imports for a program whose modules lie in `folder`, and see to the report at exit; False if the program is
    to run without Alpyna.

    `main` is the module that will run as `__main__` under `-m`. `by_name`: the user has asked for it for this program,
    and hears of it if there are no loops, or nothing can be done. `first`, `path`: see shadows.hidden_by.
    """
    from alpyna_hook import hook, log, shadows
    from alpyna_hook.marks import Marks

    hiding = shadows.hidden_by(first or folder, path)
    if hiding:  # a report would need modules, too
        say = log.warning if by_name or settings.report is not None else log.info
        say(f"not active: {hiding} hides a module of that name which Alpyna needs")
        return False
    hook.install(Marks(folder, settings.modules), main)
    if settings.report is not None:
        _report_at_exit(settings, by_name)
    return True


_reporting = False


def _report_at_exit(settings: Settings, even_if_empty: bool) -> None:
    """Write the report as the last of all atexit functions, in this process but not in forked children."""
    global _reporting
    if _reporting:
        return
    _reporting = True
    import atexit

    owner = os.getpid()
    on_stderr = settings.report is None or settings.report == settings_module.REPORT_ON_STDERR
    here = settings_module.current_folder()  # the program may change it
    target = None if on_stderr else os.path.join(here, str(settings.report))

    def write() -> None:
        if os.getpid() != owner:
            return
        from alpyna_hook import report
        from alpyna_hook.runtime import records

        interrupted = getattr(sys, "last_type", None) is KeyboardInterrupt
        sites = records.all_sites()
        if sites or even_if_empty:
            report.emit(sites, target, settings, _devices())
        if interrupted:
            _still_interrupted()

    atexit.register(write)


def _still_interrupted() -> None:
    """Have CPython end the process by SIGINT, as it does after a KeyboardInterrupt nobody handled.

    It keeps that in a flag which any later run of source text resets, and imports run some (`namedtuple`, dataclasses).
    """
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        pass


def _devices() -> list[dict[str, str]]:
    """The devices that this process has opened."""
    specials = sys.modules.get("alpyna_hook.runtime.specials")
    if specials is None:
        return []
    tool = specials.device()._tool if specials.device.cache_info().currsize else None  # if it was looked for
    identity = getattr(tool, "identity", "")
    host = [{"name": "host", "compiler": identity}] if identity else []
    return [*host, *specials.offload.describe()]


# --- activation by environment --------------------------------------------------------------------------------------

_activated = False


def activate() -> None:
    """Switch on for this interpreter, which is just starting. Never raises; a second call does nothing."""
    global _activated
    if _activated:
        return
    _activated = True
    try:
        _activate()
    except Exception as exception:
        settings_module.complain(f"not active: {type(exception).__name__}: {exception}")


def _activate() -> None:
    settings = settings_module.current()
    arguments = getattr(sys, "argv", None) or [""]
    main = _module_argument(arguments)
    if not settings.enabled or main == "alpyna":
        return
    script = arguments[0]
    if script in ("", "-", "-c", "-m"):
        begin(settings_module.current_folder(), main or "__main__", settings, by_name=False, path=sys.path)
        return
    if not (os.path.isabs(script) or settings_module.current_folder()):
        return  # a removed folder: CPython will not find it
    real = os.path.realpath(script)
    folder = real if os.path.isdir(real) else os.path.dirname(real)
    from alpyna_hook.shadows import first_of

    if begin(folder, "__main__", settings, by_name=False, first=first_of(script), path=sys.path):
        sys.path_hooks.insert(0, _claim)


def _module_argument(arguments: list[str]) -> str:
    """The module under `-m`, "" if there is none: while `site` runs, `sys.argv[0]` still is "-m"."""
    if arguments[0] != "-m":
        return ""
    word = sys.orig_argv[len(sys.orig_argv) - len(arguments)]
    return word.partition("m")[2] if word.startswith("-") else word  # `-mpackage` is one word


def _claim(path: str) -> _Claim:
    """A path hook: claims the script that this interpreter is about to run, if it has guarded loops.

    The script is the first path that CPython asks for, or at least the first file. A hook cannot take itself out of
    the list while CPython goes through that, so one that has not claimed anything stays there, and says no.
    """
    global _asked, _claimed
    if not _asked and path == os.path.join(settings_module.current_folder(), sys.argv[0]) and os.path.isfile(path):
        _asked = True
        from alpyna_hook import hook

        data = hook.read(path)
        if data is not None and hook.may_have_loops(data) and not path.endswith(".pyc"):
            code = hook.main_code(data, path)
            if code is not None:
                _claimed = _Claim(path, code)
                return _claimed
    raise ImportError(f"{path} is not claimed", path=path)


class _Claim:
    """Path entry finder and loader of `__main__` for one script."""

    def __init__(self, path: str, code: CodeType) -> None:
        self.path = path
        self.code = code

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        from importlib.machinery import ModuleSpec

        if fullname != "__main__":
            return None
        return ModuleSpec(fullname, self, origin=self.path)  # type: ignore[arg-type]  # get_code is all runpy needs

    def get_code(self, fullname: str) -> CodeType:
        """What runpy runs in place of the script: a call of `_take_over`."""
        return compile(_BOOTSTRAP, "<alpyna>", "exec")


_asked = False  # a hook was asked for the script; whoever asks later wants something else
_claimed: _Claim | None = None


def _take_over() -> None:
    """Undo what CPython did in the belief that the script is a folder, and run it as a script."""
    claim = _claimed
    assert claim is not None
    sys.path_hooks.remove(_claim)
    sys.path_importer_cache.pop(claim.path, None)
    if sys.path and sys.path[0] == claim.path:
        del sys.path[0]
    from alpyna_hook import execfile, require

    with require.checked(settings_module.current().require):
        execfile.run_claimed(claim.path, claim.code)


# --- alpyna install, alpyna uninstall -------------------------------------------------------------------------------


def install(arguments: list[str]) -> int:
    """Write the start-up line into site-packages; 1 if that cannot be done."""
    if arguments:
        return _no_arguments("install")
    reason: str | None = ""
    for folder in _site_folders():
        path = os.path.join(folder, PTH_NAME)
        try:
            os.makedirs(folder, exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(PTH_LINE)
        except OSError as error:
            reason = error.strerror
            continue
        print(f"written: {path}\nALPYNA=1 python script.py now runs accelerated; alpyna uninstall undoes this")
        return 0
    print(f"alpyna: cannot write {PTH_NAME} into site-packages: {reason}", file=sys.stderr)
    return 1


def uninstall(arguments: list[str]) -> int:
    """Remove the start-up line wherever it is; 1 if that cannot be done."""
    if arguments:
        return _no_arguments("uninstall")
    status = 0
    paths = [os.path.join(folder, PTH_NAME) for folder in _site_folders()]
    present = [path for path in paths if os.path.exists(path)]
    for path in present:
        try:
            os.unlink(path)
            print(f"removed: {path}")
        except OSError as error:
            print(f"alpyna: cannot remove {path}: {error.strerror}", file=sys.stderr)
            status = 1
    if not present:
        print("nothing to remove")
    return status


def _no_arguments(command: str) -> int:
    print(f"usage: alpyna {command}", file=sys.stderr)
    return 2


def _site_folders() -> list[str]:
    """Where a .pth file is read: site-packages of this environment, and the user's unless that is switched off."""
    import site
    import sysconfig

    folders = [sysconfig.get_path("purelib")]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return folders
