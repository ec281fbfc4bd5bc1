"""Every exception snnkit raises on purpose.

::

    SnnkitError
    ├── InputTypeError          (TypeError)        not a tensor, not an array, not a path
    │   └── DTypeError                             a tensor of a dtype that has no meaning here
    ├── ShapeError              (ValueError)       wrong rank, axis order, channels or image size
    ├── StateShapeError         (RuntimeError)     a state that does not fit the input
    ├── DeviceError             (RuntimeError)     operands on different devices
    ├── StreamError             (RuntimeError)     a network that cannot be streamed, or a misused session
    ├── NumericsError           (ArithmeticError)  NaN or Inf found by an explicit check
    ├── ConfigError             (ValueError)       a hyper-parameter out of range, an unknown key
    │   ├── UnknownNameError    (KeyError)         a name no registry knows
    │   ├── ProfileError                           a hardware profile that cannot be trusted
    │   └── QuantConfigError                       widths, schemes or layers that cannot be quantised so
    ├── NotCalibratedError      (RuntimeError)     a quantiser whose step sizes cannot be used
    ├── SpikeDrivenError        (RuntimeError)     a product that is not made of spikes; has .offences
    ├── AccumulatorOverflowError (ArithmeticError) integer sums that may exceed their type
    ├── FormatError             (ValueError)       a malformed file; has .path, .offset, .reason, .hint
    ├── LimitError              (ValueError)       a size that exceeds a configured limit
    ├── CheckpointError         (RuntimeError)     unreadable, incomplete or altered weights
    │   └── UntrustedFileError                     a pickle that was not declared trusted
    ├── MissingDependencyError  (ImportError)      an optional package is not installed
    └── BackendError            (RuntimeError)     an explicitly chosen fast path cannot run

A message has four parts: what was wrong (name = value), where (class, module path or file offset),
what is allowed, and how to mend it. Each class also derives from the closest builtin, so generic
handlers keep working.
"""

from __future__ import annotations

from os import PathLike

__all__ = [
    "AccumulatorOverflowError",
    "BackendError",
    "CheckpointError",
    "ConfigError",
    "DTypeError",
    "DeviceError",
    "FormatError",
    "InputTypeError",
    "LimitError",
    "MissingDependencyError",
    "NotCalibratedError",
    "NumericsError",
    "ProfileError",
    "QuantConfigError",
    "ShapeError",
    "SnnkitError",
    "SpikeDrivenError",
    "StateShapeError",
    "StreamError",
    "UnknownNameError",
    "UntrustedFileError",
    "quote",
    "require",
]


class SnnkitError(Exception):
    """Base of every exception raised by snnkit itself."""


class InputTypeError(SnnkitError, TypeError):
    """An argument has the wrong Python type."""


class DTypeError(InputTypeError):
    """A tensor has a dtype that the operation does not define."""


class ShapeError(SnnkitError, ValueError):
    """A tensor has the wrong rank, axis order or size."""


class StateShapeError(SnnkitError, RuntimeError):
    """A state belongs to another batch, shape or dtype than the input."""


class DeviceError(SnnkitError, RuntimeError):
    """Operands live on different devices."""


class StreamError(SnnkitError, RuntimeError):
    """A network cannot be streamed, or a session is used wrongly."""


class NumericsError(SnnkitError, ArithmeticError):
    """NaN or Inf where an explicit check forbids it."""


class ConfigError(SnnkitError, ValueError):
    """A hyper-parameter or configuration value is not allowed."""


class UnknownNameError(ConfigError, KeyError):
    """A name that the registry does not know."""

    __str__ = Exception.__str__  # KeyError would show the repr of the message


class ProfileError(ConfigError):
    """A hardware profile is malformed, or a number in it has no source."""


class QuantConfigError(ConfigError):
    """A bit-width, scheme or choice of layers that quantisation does not define."""


class NotCalibratedError(SnnkitError, RuntimeError):
    """The step sizes of a quantiser are not positive and finite."""


class SpikeDrivenError(SnnkitError, RuntimeError):
    """Operands that should be spikes are not.

    Attributes:
        offences: one entry per offending operand, see :func:`snnkit.quant.assert_spike_driven`.
    """

    def __init__(self, message: str, offences: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.offences = offences


class AccumulatorOverflowError(SnnkitError, ArithmeticError):
    """The largest possible sum of a layer does not fit the integer that is to hold it."""


class FormatError(SnnkitError, ValueError):
    """A file does not follow its format.

    Attributes:
        path: the file, as given.
        offset: byte at which the problem starts, or None.
        reason: what was expected and what was found.
        hint: what the caller can do about it.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        reason: str | None = None,
        *,
        offset: int | None = None,
        hint: str = "",
    ) -> None:
        self.path, self.reason, self.offset, self.hint = str(path), reason or "", offset, hint
        if reason is None:  # rebuilt from its message alone, as torch does for errors of loader workers
            super().__init__(str(path))
            return
        where = f" at byte {offset}" if offset is not None else ""
        super().__init__(f"{quote(self.path)}{where}: {reason}" + (f" {hint}" if hint else ""))

    def __reduce__(self) -> tuple[object, ...]:
        return _format_error, (type(self), self.path, self.reason, self.offset, self.hint)


def _format_error(
    cls: type[FormatError], path: str, reason: str, offset: int | None, hint: str
) -> FormatError:
    """Rebuild a FormatError in another process (data-loader workers pickle exceptions)."""
    return cls(path, reason, offset=offset, hint=hint)


class LimitError(SnnkitError, ValueError):
    """A declared size exceeds a limit that protects memory or disk."""


class CheckpointError(SnnkitError, RuntimeError):
    """A checkpoint is unreadable, incomplete or does not match its hashes."""


class UntrustedFileError(CheckpointError):
    """A pickle would have to be executed to read this file."""


class MissingDependencyError(SnnkitError, ImportError):
    """An optional package is needed. The message holds the install line."""

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        self.package, self.extra, self.purpose = package, extra, purpose
        super().__init__(f'{purpose} needs {package}: pip install "snnkit[{extra}]"')

    def __reduce__(self) -> tuple[object, ...]:
        return _missing_dependency, (self.package, self.extra, self.purpose)


def _missing_dependency(package: str, extra: str, purpose: str) -> MissingDependencyError:
    """Rebuild a MissingDependencyError in another process."""
    return MissingDependencyError(package, extra=extra, purpose=purpose)


class BackendError(SnnkitError, RuntimeError):
    """An explicitly chosen backend cannot run here."""


def quote(value: object, limit: int = 200) -> str:
    """``repr`` of an untrusted value, cut to ``limit`` characters, for use in messages."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def require(condition: bool, where: str, value: object, allowed: str, hint: str = "") -> None:
    """Raise ConfigError ``where: got value, expected allowed. hint`` unless ``condition`` holds.

    Also raises when the condition cannot be met because ``value`` is NaN: write conditions so
    that NaN makes them False.
    """
    if not condition:
        raise ConfigError(f"{where}: got {quote(value)}, expected {allowed}." + (f" {hint}" if hint else ""))
