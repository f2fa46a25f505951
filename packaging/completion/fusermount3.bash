# bash completion for fusermount3(1)                                   -*- shell-script -*-

_fusermount3() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "-h --help -V --version --features --features=text -o --options -u --unmount
            -z --lazy -q --quiet --sync-init --auto-unmount --comm-fd" -- "$current")
    elif [[ $previous == -o || $previous == --options || $previous == --comm-fd ]]; then
        return
    elif [[ " ${COMP_WORDS[*]} " =~ \ (-u[zq]*|-[zq]+u[zq]*|--unmount)\  ]]; then
        # The mount table, and never the mounts: one that hangs must not hang the shell.
        local mountpoint type words
        while read -r _ mountpoint type words; do
            [[ $type == fuse* && ,${words%% *}, == *,user_id=$UID,* ]] || continue
            printf -v mountpoint '%b' "$mountpoint"
            [[ $mountpoint == "$current"* ]] && COMPREPLY+=("$mountpoint")
        done </proc/self/mounts
        compopt -o filenames
    else
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        compopt -o filenames
    fi
}

complete -F _fusermount3 fusermount3 fusermount
