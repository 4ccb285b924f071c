#!/usr/bin/env bash
# Install the hooks of this repository, once a clone:
#
#     tools/hooks.sh
#
# nbdev's own (merge and diff of notebooks, trust after a merge), and a check before each commit: what is about to be committed is laid out in a
# temporary folder, where notebooks must be clean, modules exported and READMEs written. Nothing in your working tree is touched.
# A commit that has to pass without: git commit --no-verify
set -euo pipefail
cd "$(git rev-parse --show-toplevel)"

install() {
    command -v nbdev-install-hooks >/dev/null || { echo 'error: nbdev is not installed: pip install -e ".[dev]"' >&2; exit 1; }
    nbdev-install-hooks
    local hook; hook="$(git rev-parse --git-path hooks)/pre-commit"
    if [ -e "$hook" ] && ! grep -q tools/hooks.sh "$hook"; then echo "error: $hook is there already; add this line to it: tools/hooks.sh check" >&2; exit 1; fi
    printf '#!/usr/bin/env bash\nexec tools/hooks.sh check\n' > "$hook"; chmod +x "$hook"
    echo "Each commit is checked from now on (tools/hooks.sh check)."
}

check() {   # only where a commit touches what is generated, or what it is generated from
    git diff --cached --quiet -- nbs ecgclip benchmarks/results README.md README.zh-CN.md tools && return 0
    local said; work="$(mktemp -d)"   # work is global: the trap runs after the function has gone
    trap 'rm -rf "$work"' EXIT
    git checkout-index --all --prefix="$work/tree/"
    unset GIT_DIR GIT_INDEX_FILE GIT_WORK_TREE GIT_PREFIX   # git sets them for a hook; the copy is a repository of its own
    cd "$work/tree"
    git init -q . && git add -A -f . && git -c user.name=check -c user.email=check@localhost -c core.hooksPath=/dev/null commit -qm staged
    for step in nbdev-clean nbdev-export "python tools/make_readme.py"; do
        said="$(PYTHONPATH="$PWD" PYTHONWARNINGS=ignore $step 2>&1)" || { echo "$said"; echo "error: $step fails on what is staged" >&2; exit 1; }
    done
    if [ -n "$(git status --porcelain)" ]; then
        git status --short
        echo 'error: these are not as generated. Run: nbdev-clean && nbdev-export && python tools/make_readme.py, then git add them' >&2
        exit 1
    fi
}

case "${1:-install}" in install|check) "${1:-install}";; *) echo "usage: tools/hooks.sh [install|check]" >&2; exit 2;; esac
