"use strict";

// Tells the server the person's time zone, follows runs that are at work, and loads parts of large trees.
// Everything works without this script, too: times are then those of the site, and parts are pages of their own.
{
    const EVERY = 1500;
    const PATIENCE = 15000;

    class SignedOut extends Error {}

    const tellTimeZone = function() {
        const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
        if (!zone) {
            return;
        }
        const cookie = "cleanup_time_zone=" + zone;
        const isKnown = () => document.cookie.split("; ").includes(cookie);
        const wasKnown = isKnown();
        document.cookie = cookie + "; path=/; max-age=31536000; samesite=lax"
            + (location.protocol === "https:" ? "; secure" : "");
        // The first page was made before the zone was known. A message is shown once, and worth more than that.
        if (!wasKnown && isKnown() && document.querySelector("time, body.model-schedule") && !document.querySelector(".messagelist")) {
            location.reload();
        }
    };

    const fragment = async function(address) {
        const answer = await fetch(address, {
            credentials: "same-origin",
            redirect: "manual", // the way to the sign-in page
            headers: {"X-Requested-With": "XMLHttpRequest"}
        });
        if (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403) {
            throw new SignedOut();
        }
        if (!answer.ok) {
            throw new Error(answer.status);
        }
        return new DOMParser().parseFromString(await answer.text(), "text/html").body;
    };

    const part = (name) => `[data-cleanup-part="${name}"]`;

    const follow = function(page) {
        let answered = Date.now();

        const notice = function(name) {
            document.querySelectorAll("[data-cleanup-noticed]").forEach((shown) => shown.remove());
            if (name) {
                const content = document.querySelector(`template[data-cleanup-notice="${name}"]`).content;
                const shown = content.firstElementChild.cloneNode(true);
                shown.dataset.cleanupNoticed = name;
                page.after(shown);
            }
        };

        const show = function(fresh) {
            for (const now of fresh.querySelectorAll("[data-cleanup-part]")) {
                const place = document.querySelector(part(now.dataset.cleanupPart));
                if (place && place.textContent !== now.textContent) {
                    place.replaceChildren(...now.childNodes);
                }
            }
        };

        const look = async function() {
            try {
                const fresh = await fragment(page.dataset.cleanupRefresh);
                const state = fresh.querySelector("[data-cleanup-state]").dataset.cleanupState;
                if (state !== page.dataset.cleanupState) {
                    location.reload(); // other buttons, and the figures below
                    return;
                }
                show(fresh);
                answered = Date.now();
                notice("");
            } catch (error) {
                if (error instanceof SignedOut) {
                    notice("signed-out");
                    return;
                }
                if (Date.now() - answered > PATIENCE && !document.querySelector("[data-cleanup-noticed]")) {
                    notice("no-answer"); // it is busy or away; look again later
                }
            }
            setTimeout(look, EVERY);
        };
        setTimeout(look, EVERY);
    };

    const load = async function(link) {
        const item = link.parentElement;
        link.setAttribute("aria-busy", "true");
        try {
            const fresh = await fragment(link.href);
            const list = fresh.querySelector("ul");
            if (item.tagName === "LI") { // further siblings
                const first = list.firstElementChild;
                item.replaceWith(...list.children);
                first.tabIndex = -1;
                first.focus();
            } else {
                link.replaceWith(list);
            }
        } catch {
            location.assign(link.href);
        }
    };

    const selectAll = function(box) {
        const boxes = document.querySelectorAll(`input[type="checkbox"][name="${box.dataset.cleanupSelectAll}"]`);
        box.hidden = false;
        box.closest("label")?.removeAttribute("hidden");
        box.addEventListener("change", () => boxes.forEach((one) => { one.checked = box.checked; }));
    };

    tellTimeZone();
    document.querySelectorAll("[data-cleanup-select-all]").forEach(selectAll);
    document.querySelectorAll("[data-cleanup-refresh]").forEach(follow);
    document.addEventListener("click", function(event) {
        const link = event.target.closest("a.cleanup-part");
        if (link && !event.ctrlKey && !event.metaKey) {
            event.preventDefault();
            load(link);
        }
    });
    document.addEventListener("toggle", function(event) {
        const folded = event.target;
        if (folded.open && folded.classList.contains("cleanup-folded")) {
            const link = folded.querySelector(":scope > a.cleanup-part");
            if (link) {
                load(link);
            }
        }
    }, true);
}
