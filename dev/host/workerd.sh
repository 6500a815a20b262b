#!/bin/sh
# Starts workerd under a process id known to the guard, which ends it should its parent be killed the hard way.
echo $$ > "$DEV_WORKERD_PID_FILE"
exec "$DEV_WORKERD" "$@"
