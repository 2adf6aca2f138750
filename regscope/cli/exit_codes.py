"""The exit codes, and the errors that each stands for."""

from __future__ import annotations

from regscope import errors

OTHER = 1
USAGE = 2
NOT_FOUND = 3
NOT_ALLOWED = 4
UNREACHABLE = 5
BAD_CONTENT = 6
WITH_PROBLEMS = 7
INTERRUPTED = 130

MEANINGS = {
    0: "done",
    OTHER: "failed for another reason, or a rule of `waste --ci` or a question of `doctor` failed",
    USAGE: "wrong arguments",
    NOT_FOUND: "the repository, image, folder or file does not exist",
    NOT_ALLOWED: "wrong credentials, no permission, or the registry does not offer it",
    UNREACHABLE: "unknown host, refused connection, untrusted certificate, no answer",
    BAD_CONTENT: "content is damaged or invalid, or `validate` found missing content",
    WITH_PROBLEMS: "done, but some content could not be read",
    INTERRUPTED: "interrupted",
}

_BY_ERROR: tuple[tuple[type[errors.RegscopeError], int], ...] = (
    (errors.InvalidInput, USAGE),
    (errors.NotAStore, NOT_FOUND),
    (errors.ContentMissing, NOT_FOUND),
    (errors.ResourceNotFound, NOT_FOUND),
    (errors.AuthFailed, NOT_ALLOWED),
    (errors.PermissionDeny, NOT_ALLOWED),
    (errors.Unsupported, NOT_ALLOWED),
    (errors.TooManyRequests, UNREACHABLE),
    (errors.ConnectionFailed, UNREACHABLE),
    (errors.ContentError, BAD_CONTENT),
    (errors.StoreError, BAD_CONTENT),
)


def exit_code(error: errors.RegscopeError) -> int:
    """The exit code for an error."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), OTHER)
