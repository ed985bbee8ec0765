# Users from Ruby, with SOAP4R: list, add, edit, delete, and read the problems of a fault.
#
# How to run it (Debian: apt install curl ruby-soap4r ruby-httpclient):
#
#     export SIPX_URL=http://127.0.0.1:8080/sipxconfig/services SIPX_USER=superadmin SIPX_PIN=...
#     curl -fsS -u "$SIPX_USER:$SIPX_PIN" -o UserService.wsdl "$SIPX_URL/UserService?wsdl"
#     ruby users.rb

require 'soap/wsdlDriver'

NAME = 'example-ruby'

# A misspelt key is left out with no more than a warning, and manageUser without a search is about
# everybody. So the search is written once, and taken from here.
THIS_ONE = { search: { byUserName: NAME } }

# SOAP4R does not log in to read a WSDL, so that is fetched before.
USERS = SOAP::WSDLDriverFactory.new('UserService.wsdl').create_rpc_driver
USERS.endpoint_url = "#{ENV.fetch('SIPX_URL')}/UserService"
USERS.options['protocol.http.basic_auth'] <<
  [USERS.endpoint_url, ENV.fetch('SIPX_USER'), ENV.fetch('SIPX_PIN')]

def show(arguments)
  found = USERS.findUser(arguments).users
  return if found == '' # nobody

  # One value alone is no Array, none may be no method: so [*…] and user['…'].
  [*found.item].each do |user|
    names = [user.firstName, user.lastName, user.emailAddress].map { |text| text || '-' }
    puts "  #{[user.userName, *names, *user['aliases']].join(' ')}"
  end
end

puts 'everybody:'
show({}) # without a search

begin
  USERS.addUser({
    user: {
      userName: NAME,
      firstName: 'Zoë',
      lastName: 'Łukasik',
      aliases: ["#{NAME}-a", "#{NAME}-b"]
    },
    pin: '4711'
  })
  puts 'added:'
  show(THIS_ONE)

  # An edit names a field and its new value; nil clears it.
  edits = [
    { property: 'emailAddress', value: 'zoe@example.org' },
    { property: 'firstName', value: nil }
  ]
  USERS.manageUser({ **THIS_ONE, edit: edits })
  puts 'edited:'
  show(THIS_ONE)

  # Whatever is wrong is told at once, and nothing has changed.
  begin
    USERS.addUser({ user: { userName: NAME, aliases: ['not valid'] } })
  rescue SOAP::FaultError => fault
    puts "refused: #{fault.message}"
    [*fault.detail.error].each do |error|
      attributes = error.__xmlattr.transform_keys(&:name)
      puts "  #{attributes.values_at('code', 'field', 'value').join(' ')}"
    end
  end
ensure
  USERS.manageUser({ **THIS_ONE, deleteUser: true })
end
puts 'deleted:'
show(THIS_ONE)
