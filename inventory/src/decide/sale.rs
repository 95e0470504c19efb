//! Rules of sale. One decision looks at every quota of every item: all or nothing, and the refusal
//! names the constraint that failed. Each room holds one kind of rule; what commands of sale lead to
//! stands in `hold`, `order` and `cancel`.

mod cancel;
mod hold;
mod limits;
mod order;
mod pay;
mod price;
mod promo;
mod reissue;
mod stock;

pub(super) use cancel::{cancel_by_buyer, cancelable};
pub(super) use hold::{hold, quote, release, renew};
pub(super) use order::{draft, order};
pub(super) use pay::{paid, unpaid};
pub(super) use price::{Charge, price};
pub(super) use promo::list_promos;
pub(super) use reissue::{next_revision, reissue};
pub(super) use stock::{basket, check_stock};

/// Tickets of one hold or order, so that an entry stays small and no sum overflows.
pub const TICKETS_PER_ORDER_MAX: u32 = 1_000;
