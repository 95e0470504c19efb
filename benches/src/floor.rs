//! The floor: the least that a durable scan can be without batching. One route verifies the
//! credential strictly and calls one function of the store, which gets, compares, sets and appends.
//! It has no rules, no occupancy, no log of its own, and forgets nothing only because Redis does not.

pub mod http;

/// Gets the ticket's state, compares it with the nonce, sets it, appends to the log.
pub(crate) const REDEEM: &str = "#!lua name=floor
redis.register_function('redeem', function(keys, args)
  local state = redis.call('GET', keys[1])
  if state == args[1] then
    return 0
  end
  redis.call('SET', keys[1], args[1])
  redis.call('XADD', keys[2], 'MAXLEN', '~', '100000', '*', 't', keys[1], 'n', args[1], 'g', args[2])
  return 1
end)";
