//! Hard rules: where a class may go at all, and what clears its bar.
use crate::types::{BackendFacts, Privacy, RequestView};

/// Whether a request may be served by this backend.
pub fn allowed(request: &RequestView<'_>, backend: &BackendFacts) -> bool {
    request.prompt_tokens < backend.max_context_tokens && allowed_but_for_length(request, backend)
}

/// Whether a request might be served by this backend if it were short enough.
pub fn allowed_but_for_length(request: &RequestView<'_>, backend: &BackendFacts) -> bool {
    let private = request.class.privacy == Privacy::InternalOnly && !backend.internal;
    let waits = !backend.deferred || request.class.tolerates.is_some();
    !private && waits && backend.capability >= request.class.needs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Capability, ClassSpec, Content, NO_SESSION, SimTime};

    #[test]
    fn private_stays_inside_and_frontier_needs_the_bar() {
        let content = Content::private(0, 10);
        let view = |class| RequestView {
            index: 0,
            arrival: SimTime::ZERO,
            tenant: 0,
            session: NO_SESSION,
            class,
            prompt_tokens: 10,
            max_output_tokens: 5,
            priority: 0,
            content: &content,
        };
        let own =
            BackendFacts { internal: true, capability: Capability::Small, max_context_tokens: 100, deferred: false };
        let bought = BackendFacts {
            internal: false,
            capability: Capability::Frontier,
            max_context_tokens: 100,
            deferred: false,
        };
        let private = ClassSpec { privacy: Privacy::InternalOnly, ..ClassSpec::default() };
        let hard = ClassSpec { needs: Capability::Frontier, ..ClassSpec::default() };
        assert!(allowed(&view(&private), &own) && !allowed(&view(&private), &bought));
        assert!(!allowed(&view(&hard), &own) && allowed(&view(&hard), &bought));
        assert!(!allowed(&view(&private), &BackendFacts { max_context_tokens: 10, ..own }));
        let batch = BackendFacts { deferred: true, ..bought };
        let patient = ClassSpec { tolerates: Some(SimTime::from_secs(3_600)), ..ClassSpec::default() };
        assert!(allowed(&view(&patient), &batch) && !allowed(&view(&hard), &batch));
    }
}
