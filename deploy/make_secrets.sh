#!/bin/sh
# Makes the secrets of docker-compose.production.yaml, each as a file: deploy/make_secrets.sh [FOLDER], by default secrets/ beside the
# compose file. What is there already stays. The folder is closed to others on this machine; the files in it can be read by every
# user of a container that they are mounted into.
set -eu
umask 022
folder=${1:-"$(dirname "$0")/../secrets"}
mkdir -p "$folder/tls"
chmod 700 "$folder"
cd "$folder"

secret() { # 32 bytes as letters, digits, - and _
    head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'
}

keep() { # Writes standard input into a file that is not there yet.
    if [ ! -e "$1" ]; then
        cat > "$1.new"
        mv "$1.new" "$1"
        echo "made $folder/$1"
    fi
}

for name in postgres_password redis_password rabbitmq_password secret_keys grafana_password; do
    secret | keep "$name"
done
printf '{"redis://redis:6379": "%s"}\n' "$(cat redis_password)" | keep redis_exporter.json
printf 'default_user = shop\ndefault_pass = %s\n' "$(cat rabbitmq_password)" | keep rabbitmq.conf
printf 'amqp://shop:%s@rabbitmq:5672/\n' "$(cat rabbitmq_password)" | keep rabbitmq_url
