# Runs a PostgreSQL server in a folder until standard input ends, and removes the folder then: nothing is left behind,
# however those end that started it. Meanwhile a line "kill" kills the server, and a line "start" starts it again;
# each is answered by a line when it is done.
#
# Arguments: where PostgreSQL's programs are, the folder, the user to become, empty for none, and the port for TLS,
# empty for none; then the folder holds server.crt and server.key.
bin=$1 dir=$2 user=$3 tls=
if [ -n "$4" ]; then
    export PGPORT="$4"
    chmod 600 "$dir/server.key"
    tls="-c listen_addresses=127.0.0.1 -c ssl=on -c ssl_cert_file=$dir/server.crt -c ssl_key_file=$dir/server.key"
fi
trap '' HUP INT TERM
become=setpriv
if [ -n "$user" ]; then
    chown -R "$user" "$dir"
    become="setpriv --reuid $user --regid $user --init-groups"
fi
cd "$dir" || exit

# In words of another order than that of bytes, so that nothing relies on the order of the database.
init() {
    $become "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --no-sync --no-instructions \
        --locale C.UTF-8 --locale-provider icu --icu-locale en-US
}

# The server dies with this shell, even where the shell is killed; a change of the user would undo that.
launch() {
    $become setpriv --pdeathsig KILL "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= \
        -c fsync=off -c max_connections=200 $tls </dev/null >>"$dir/log" 2>&1 &
    server=$!
    until "$bin/pg_isready" -q -h "$dir"; do
        kill -0 "$server" 2>/dev/null || return
        sleep 0.05
    done
}

# A killed server's own processes may hold its memory for a moment longer.
start() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        launch && echo done && return
        sleep 0.2
    done
    cat "$dir/log" >&2
    end
}

end() {
    kill -QUIT "$server" 2>/dev/null
    wait "$server"
    cd / && rm -rf "$dir"
    exit
}

server=
init >"$dir/log" 2>&1 && start || { cat "$dir/log" >&2; cd / && rm -rf "$dir"; exit 1; }
while read -r word; do
    case $word in
    kill)
        kill -KILL "$server"
        wait "$server" 2>/dev/null
        echo done
        ;;
    start) start ;;
    esac
done
end
