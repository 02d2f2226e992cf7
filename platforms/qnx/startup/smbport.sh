#!/bin/sh
# Starts smbport and returns once it runs.  To be called from the startup script of the image, after io-sock (or
# io-pkt) and the disks.  To stop it: kill -TERM `cat /var/run/smbport.pid`; what runs is finished first.

config=${SMBPORT_CONFIG:-/etc/smbport.toml}
log=${SMBPORT_LOG:-/var/log/smbport.log}
pid=${SMBPORT_PID:-/var/run/smbport.pid}
priority=${SMBPORT_PRIORITY:-10}

# Where temporary files go must be on a disk: there the port tries whether inotify can be relied on.
TMPDIR=${TMPDIR:-/var/tmp}
export TMPDIR

waitfor /dev/socket 30 || exit 1
ulimit -n 4096 # a connection takes one descriptor, an open file another; the default is about 1000
on -p "$priority" smbport serve --config "$config" >>"$log" 2>&1 &
echo $! >"$pid"
