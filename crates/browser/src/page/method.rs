//! The methods that the page of an embed session asks for, and what a policy has to allow for each.

use vitrine_model::embed::Capability;

macro_rules! methods {
    ($($name:ident $word:literal [$($capability:ident)*],)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Method {
            $($name,)+
        }

        impl Method {
            const ALL: &[Method] = &[$(Method::$name,)+];

            /// Its name on the wire.
            pub fn name(self) -> &'static str {
                match self {
                    $(Method::$name => $word,)+
                }
            }

            /// Any one of these opens it; nothing has to when there are none here.
            pub fn opened_by(self) -> &'static [Capability] {
                match self {
                    $(Method::$name => &[$(Capability::$capability,)*],)+
                }
            }
        }
    };
}

methods! {
    GetTabs "getTabs" [TabsRead],
    GetTabCount "getTabCount" [TabsRead],
    GetActiveTab "getActiveTab" [TabsRead],
    GetActiveTabIndex "getActiveTabIndex" [TabsRead],
    CreateTab "createTab" [TabsWrite],
    CreateTabs "createTabs" [TabsWrite],
    CloseTab "closeTab" [TabsWrite],
    CloseTabById "closeTabById" [TabsWrite],
    CloseAllTabs "closeAllTabs" [TabsWrite],
    SwitchToTab "switchToTab" [TabsWrite],
    SwitchToTabById "switchToTabById" [TabsWrite],
    CleanSlate "cleanSlate" [TabsWrite],
    WaitForTabCount "waitForTabCount" [TabsRead],
    WaitForTabUrl "waitForTabUrl" [TabsRead],
    GetFavicons "getFavicons" [TabsRead],
    WaitForNonDefaultFavicon "waitForNonDefaultFavicon" [TabsRead],
    NavigateTo "navigateTo" [PageNavigate],
    NavigateTab "navigateTab" [PageNavigate],
    SubmitOmnibox "submitOmnibox" [PageNavigate],
    Reload "reload" [PageNavigate],
    GoBack "goBack" [PageNavigate],
    GoForward "goForward" [PageNavigate],
    Stop "stop" [PageNavigate],
    GetPageText "getPageText" [PageRead],
    GetPageUrl "getPageUrl" [PageRead],
    GetPageTitle "getPageTitle" [PageRead],
    GetPageFavicon "getPageFavicon" [PageRead],
    GetScreenMetrics "getScreenMetrics" [PageRead],
    Click "click" [ActClick],
    Type "type" [ActType],
    Evaluate "evaluate" [ActEvaluate],
    WaitForSelector "waitForSelector" [ActWait],
    WaitForNavigation "waitForNavigation" [ActWait],
    // What it does is another method's, which is asked for in its turn.
    Act "act" [],
    CaptureFrame "captureFrame" [CaptureFrame CaptureViewport],
    ResolvePageTarget "resolvePageTarget" [AugmentPage SelectUse],
    GeneralizeSelection "generalizeSelection" [SelectExtract],
    ExtractSelection "extractSelection" [SelectExtract],
    GetCurrentModal "getCurrentModal" [ModalsRead],
    RespondToModal "respondToModal" [ModalsRespond],
    DismissModal "dismissModal" [ModalsRespond],
    GetPolicy "getPolicy" [PolicyRead],
    InspectAt "page.inspectAt" [SelectUse],
}

impl Method {
    pub fn parse(name: &str) -> Option<Method> {
        Method::ALL.iter().copied().find(|method| method.name() == name)
    }

    /// Those that an embedder may know of: the rest is between the page and us.
    pub fn public() -> impl Iterator<Item = &'static str> {
        Method::ALL.iter().map(|method| method.name()).filter(|name| !name.starts_with("page."))
    }

    /// What a second call would do again. The others may simply be made twice.
    pub fn has_effect(self) -> bool {
        let read_only = [
            Capability::TabsRead,
            Capability::PageRead,
            Capability::ActWait,
            Capability::CaptureFrame,
            Capability::AugmentPage,
            Capability::SelectUse,
            Capability::SelectExtract,
            Capability::ModalsRead,
            Capability::PolicyRead,
        ];
        !self.opened_by().iter().any(|capability| read_only.contains(capability))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_one_name_each_and_some_have_effects() {
        let mut names: Vec<_> = Method::ALL.iter().map(|method| method.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Method::ALL.len());
        for method in [Method::CreateTab, Method::Click, Method::Type, Method::Act, Method::NavigateTo, Method::GoBack]
        {
            assert!(method.has_effect(), "{method:?}");
        }
        for method in [Method::GetTabs, Method::WaitForSelector, Method::CaptureFrame, Method::InspectAt] {
            assert!(!method.has_effect(), "{method:?}");
        }
        assert!(Method::public().all(|name| name != "page.inspectAt"));
    }
}
