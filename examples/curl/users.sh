#!/bin/sh
# Users with curl: list, add, edit, delete, and read the problems of a fault.
#
# How to run it (curl 7.76 or newer):
#
#     export SIPX_URL=http://127.0.0.1:8080/sipxconfig/services SIPX_USER=superadmin SIPX_PIN=...
#     sh users.sh

set -eu
NAME=example-curl
THIS_ONE="<search><byUserName>$NAME</byUserName></search>"

# Sends an operation and keeps the answer. A fault is HTTP 500, and then this is false.
call() {
  answer=$(
    curl -sS --fail-with-body -u "$SIPX_USER:$SIPX_PIN" "$SIPX_URL/UserService" \
      -H 'Content-Type: text/xml; charset=UTF-8' --data-binary @- 2>&1 <<END
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"
            xmlns:con="http://www.sipfoundry.org/2007/08/21/ConfigService">
  <e:Body>$1</e:Body>
</e:Envelope>
END
  )
}

# A text as it may stand in XML.
escaped() { printf %s "$1" | sed 's/&/\&amp;/g; s/</\&lt;/g'; }

# The texts of these elements in standard input; nothing for null, which is <name xsi:nil="true"/>.
# What stands there as &amp; or &lt; stays so.
texts() { grep -o "<$1>[^<]*" | sed 's/^[^>]*>//'; }

show() {
  call "<con:FindUser>${1-}</con:FindUser>"
  # An answer is one line; a user gets one of its own.
  printf '%s\n' "$answer" | sed 's/<item>/\n&/g' | grep '^<item>' | while read -r user; do
    line=" "
    for name in userName firstName lastName emailAddress; do
      text=$(printf %s "$user" | texts "$name")
      line="$line ${text:--}"
    done
    printf '%s %s\n' "$line" "$(printf %s "$user" | texts aliases | paste -sd ' ')"
  done
}

remove() { call "<con:ManageUser>$THIS_ONE<deleteUser>true</deleteUser></con:ManageUser>"; }
trap 'test $? = 0 || { printf "%s\n" "$answer" >&2; remove; }' EXIT

echo "everybody:"
show # without a search

call "<con:AddUser>
  <user>
    <userName>$NAME</userName>
    <firstName>$(escaped 'Zoë')</firstName>
    <lastName>$(escaped 'Łukasik')</lastName>
    <aliases>$NAME-a</aliases>
    <aliases>$NAME-b</aliases>
  </user>
  <pin>4711</pin>
</con:AddUser>"
echo "added:"
show "$THIS_ONE"

# An edit names a field and its new value; an empty one clears it.
call "<con:ManageUser>
  $THIS_ONE
  <edit><property>emailAddress</property><value>zoe@example.org</value></edit>
  <edit><property>firstName</property><value/></edit>
</con:ManageUser>"
echo "edited:"
show "$THIS_ONE"

# Whatever is wrong is told at once, and nothing has changed.
call "<con:AddUser>
  <user><userName>$NAME</userName><aliases>not valid</aliases></user>
</con:AddUser>" || {
  echo "refused: $(printf %s "$answer" | texts faultstring)"
  printf %s "$answer" | grep -o '<error [^>]*' |
    sed 's/.* code="\([^"]*\)" field="\([^"]*\)" value="\([^"]*\)".*/  \1 \2 \3/'
}

remove
echo "deleted:"
show "$THIS_ONE"
